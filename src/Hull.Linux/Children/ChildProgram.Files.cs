using Hull.Linux.Abi;
using static Hull.Linux.Abi.Fcntl;
using static Hull.Linux.Abi.SyscallNumber;

namespace Hull.Linux.Children;

/// <content>Files, descriptors and messages.</content>
public sealed unsafe partial class ChildProgram
{
    public Operation OpenAt(Slot result, Argument directory, string path, int flags, uint mode = 0) =>
        Call("open", path, SYS_openat, directory, Text(path), flags | O_CLOEXEC, mode, result: result);

    /// <summary>openat2(2) with the walk restricted; the error number EAGAIN of a race is not retried but reported.</summary>
    public Operation OpenAt2(Slot result, Argument directory, string path, int flags, ulong resolve, string? description = null)
    {
        var how = Struct(new OpenHow { flags = (ulong)(uint)(flags | O_CLOEXEC), resolve = resolve });
        return Call("open", description ?? path, SYS_openat2, directory, Text(path), how, sizeof(OpenHow), result: result);
    }

    public Operation MkdirAt(Argument directory, string path, uint mode) =>
        Call("create directory", path, SYS_mkdirat, directory, Text(path), mode);

    public Operation MknodAt(Argument directory, string name, uint mode, uint device) =>
        Call("create node", name, SYS_mknodat, directory, Text(name), mode, device);

    public Operation SymlinkAt(string target, Argument directory, string name) =>
        Call("create link", name, SYS_symlinkat, Text(target), directory, Text(name));

    public Operation UnlinkAt(Argument directory, string name, int flags = 0) =>
        Call("remove", name, SYS_unlinkat, directory, Text(name), flags);

    public Operation FchownAt(Argument directory, string name, uint user, uint group, int flags) =>
        Call("change the owner of", name, SYS_fchownat, directory, Text(name), user, group, flags);

    public Operation FchmodAt(Argument directory, string name, uint mode) =>
        Call("change the mode of", name, SYS_fchmodat, directory, Text(name), mode);

    public Operation Close(Argument descriptor) => Call("close", null, SYS_close, descriptor).Ignore();

    /// <summary>Puts a descriptor in place without close-on-exec. Both being the same number is allowed.</summary>
    public void Place(Argument descriptor, int target)
    {
        // dup3 refuses equal numbers; those only lose the flag.
        var done = new Label();
        Call("place descriptor", target.ToString(), SYS_dup3, descriptor, target, 0).OnSuccess(done).Ignore(Errno.EINVAL);
        Call("keep descriptor", target.ToString(), SYS_fcntl, target, F_SETFD, 0);
        Mark(done);
    }

    /// <summary>Marks all descriptors from a number on close-on-exec.</summary>
    public Operation CloseOnExecFrom(int first) =>
        Call("close descriptors from", first.ToString(), SYS_close_range, first, uint.MaxValue, FileFlags.CLOSE_RANGE_CLOEXEC);

    public Operation Write(Argument descriptor, ReadOnlySpan<byte> bytes, string verb, string? subject = null) =>
        Call(verb, subject, SYS_write, descriptor, Bytes(bytes), bytes.Length);

    /// <summary>
    /// Opens a file below a verified procfs. No step leaves procfs; its own links (self, thread-self) are followed, and the
    /// magic link at the end where it is asked for.
    /// </summary>
    public Operation OpenProc(Slot result, Argument proc, string path, bool followLast = false, int flags = O_RDONLY)
    {
        const ulong inside = Resolve.RESOLVE_BENEATH | Resolve.RESOLVE_NO_XDEV | Resolve.RESOLVE_NO_MAGICLINKS;
        if (!followLast) return OpenAt2(result, proc, path, flags, inside, "/proc/" + path);
        var slash = path.LastIndexOf('/');
        OpenAt2(Check, proc, path[..slash], O_PATH | O_DIRECTORY, inside, "/proc/" + path);
        return OpenAt(result, Check, path[(slash + 1)..], flags);
    }

    /// <summary>Writes to a file below a verified procfs.</summary>
    public Operation WriteProc(Argument proc, string path, string value, string verb, string? subject)
    {
        var how = Struct(new OpenHow
        {
            flags = (ulong)(uint)(O_WRONLY | O_CLOEXEC), resolve = Resolve.RESOLVE_BENEATH | Resolve.RESOLVE_NO_XDEV | Resolve.RESOLVE_NO_MAGICLINKS,
        });
        Call(verb, subject, SYS_openat2, proc, Text(path), how, sizeof(OpenHow), result: Check);
        var write = Write(Check, System.Text.Encoding.UTF8.GetBytes(value), verb, subject);
        Close(Check);
        return write;
    }

    /// <summary>Sends one byte on a socket.</summary>
    public Operation Notify(Argument socket, byte message) => Write(socket, [message], "report progress");

    /// <summary>Waits for one byte. The end of the stream, which is the death of the parent, ends the child.</summary>
    public void WaitFor(Argument socket, byte message)
    {
        var count = Check;
        var buffer = Buffer(8);
        Call("wait for", "the runtime", SYS_read, socket, buffer, 1, result: count);
        Expect("wait for", "the runtime, which ended", count, 1);
        Load(count, buffer, 1);
        Expect("wait for", "the runtime, which answered out of turn", count, message);
    }

    /// <summary>Sends a byte with a descriptor (SCM_RIGHTS).</summary>
    public void SendDescriptor(Argument socket, byte message, Slot descriptor)
    {
        var control = (byte*)Buffer(32);
        // SAFETY: 32 zeroed bytes of the arena hold a header and one descriptor.
        *(ControlMessageHeader*)control = new ControlMessageHeader
        {
            cmsg_len = (nuint)(sizeof(ControlMessageHeader) + sizeof(int)), cmsg_level = Sockets.SOL_SOCKET, cmsg_type = Sockets.SCM_RIGHTS,
        };
        Store((nint)(control + sizeof(ControlMessageHeader)), descriptor);
        var vector = Struct(new IoVector { iov_base = (void*)Bytes([message]), iov_len = 1 });
        var header = Struct(new MessageHeader { msg_iov = (IoVector*)vector, msg_iovlen = 1, msg_control = control, msg_controllen = 24 });
        Call("send", "a descriptor", SYS_sendmsg, socket, header, Sockets.MSG_NOSIGNAL);
    }
}
