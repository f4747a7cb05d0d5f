using System.Buffers.Binary;
using System.Text;
using Hull.Core;
using Hull.Linux.Abi;
using Hull.Linux.Seccomp;
using Hull.Linux.Syscalls;
using static Hull.Linux.Abi.SyscallNumber;

namespace Hull.Linux.Tracing;

/// <summary>Makes a fresh copy of a process, of which only one thread is there and stopped, what it is to be.</summary>
internal sealed class TwinBuilder : IDisposable
{
    private const ulong ScratchBytes = 1 << 16;
    private const int ReadWrite = 3; // PROT_READ | PROT_WRITE
    private const int PrivateAnonymous = 0x22; // MAP_PRIVATE | MAP_ANONYMOUS
    private const int CloseOnExec = 0x80000; // O_CLOEXEC
    private const int DetachMount = 2; // MNT_DETACH
    private const int NoNewPrivileges = 38; // PR_SET_NO_NEW_PRIVS
    private const int FilterMode = 1; // SECCOMP_SET_MODE_FILTER
    private const int DropCapability = 24; // PR_CAPBSET_DROP
    private const int CapabilityVersion = 0x20080522; // _LINUX_CAPABILITY_VERSION_3
    private const int CloseReceived = 0x40000000; // MSG_CMSG_CLOEXEC

    private readonly TracedThread _main;
    private readonly ProcessMemory _memory;
    private readonly ulong _scratch;

    /// <summary>A socket whose far end the twin has as <see cref="_received"/>: files are sent to it, for which it needs no right over this process.</summary>
    private readonly SafeFd _giver;
    private readonly ulong _received;

    /// <param name="pidfd">Of the twin.</param>
    public TwinBuilder(TracedThread main, ProcessMemory memory, SafeFd pidfd)
    {
        (_main, _memory) = (main, memory);
        _scratch = main.Require("find room", SYS_mmap, 0, ScratchBytes, ReadWrite, PrivateAnonymous, ulong.MaxValue);
        Require("make a channel", SYS_socketpair, Sockets.AF_UNIX, Sockets.SOCK_SEQPACKET | CloseOnExec, 0, _scratch);
        Span<byte> ends = stackalloc byte[2 * sizeof(int)];
        memory.Read(_scratch, ends);
        _received = BinaryPrimitives.ReadUInt32LittleEndian(ends);
        var near = BinaryPrimitives.ReadUInt32LittleEndian(ends[sizeof(int)..]);
        _giver = Check.Descriptor(ProcessCalls.PidfdGetFd(pidfd.Value, (int)near), $"take the end of a channel");
        Require("close a descriptor", SYS_close, near);
    }

    /// <summary>Has the twin, which has one thread, put itself into cgroups.</summary>
    public void EnterCgroups(IReadOnlyList<SafeFd> files)
    {
        if (files.Count == 0) return;
        foreach (var taken in Take(files))
        {
            _memory.Write(_scratch, "0"u8);
            Require("enter a cgroup", SYS_write, taken, _scratch, 1);
            Require("close a descriptor", SYS_close, taken);
        }
    }

    /// <summary>Puts the given open files in the place of the original's.</summary>
    public void ExchangeDescriptors(IReadOnlyDictionary<int, SafeFd> descriptors)
    {
        var order = descriptors.ToList();
        foreach (var (taken, (number, _)) in Take(order.ConvertAll(entry => entry.Value)).Zip(order))
        {
            Require("place a descriptor", SYS_dup3, taken, (ulong)number, CloseOnExec);
            Require("close a descriptor", SYS_close, taken);
        }
    }

    /// <summary>Gives it event counters of its own.</summary>
    public void RenewCounters(IReadOnlyList<(int Number, ulong Count, uint Flags)> counters)
    {
        foreach (var (number, count, flags) in counters.OrderBy(counter => counter.Number))
        {
            const uint allowed = CloseOnExec | 0x800; // O_NONBLOCK
            var made = Require("make an event counter", SYS_eventfd2, count, flags & allowed);
            Require("take an event counter", SYS_dup3, made, (ulong)number, flags & CloseOnExec);
            Require("close a descriptor", SYS_close, made);
        }
    }

    /// <summary>Makes the other threads again.</summary>
    public IReadOnlyList<TracedThread> MakeThreads(IEnumerable<TracedThread> originals, int threadIdOffset)
    {
        const ulong flags = CloneFlags.CLONE_VM | CloneFlags.CLONE_FS | CloneFlags.CLONE_FILES | CloneFlags.CLONE_SIGHAND | CloneFlags.CLONE_THREAD |
            CloneFlags.CLONE_SYSVSEM | CloneFlags.CLONE_SETTLS | CloneFlags.CLONE_CHILD_SETTID | CloneFlags.CLONE_CHILD_CLEARTID;
        var made = new List<TracedThread>();
        foreach (var original in originals)
        {
            var area = original.Saved.fs_base;
            var thread = _main.Clone(flags, 0, area + (ulong)threadIdOffset, area);
            thread.DieWithTracer();
            thread.Become(original);
            made.Add(thread);
        }

        return made;
    }

    public void Dispose() => _giver.Dispose();

    public void Unmount(IReadOnlyList<string> paths)
    {
        foreach (var path in paths)
        {
            _memory.Write(_scratch, Encoding.UTF8.GetBytes(path + "\0"));
            Require($"unmount {path}", SYS_umount2, _scratch, DetachMount);
        }
    }

    /// <summary>So that it can gain none of them any more once it is another user.</summary>
    public void DropCapabilities()
    {
        for (var capability = 0UL; _main.Call(SYS_prctl, DropCapability, capability) >= 0; capability++)
        {
            // Until one that the kernel does not know.
        }
    }

    /// <summary>Takes every privilege away, while the twin has one thread: those that follow inherit what it may not.</summary>
    /// <param name="userId">0 keeps the original's.</param>
    public void Confine(uint userId, SeccompProgram? program)
    {
        Require("close a descriptor", SYS_close, _received);
        _giver.Dispose();
        if (userId != 0)
        {
            Require("drop groups", SYS_setgroups, 0, 0);
            Require("set the group", SYS_setresgid, userId, userId, userId);
            Require("set the user", SYS_setresuid, userId, userId, userId);
            // A user namespace's first process has them all, and who was not root there keeps them through a change of user.
            Span<byte> none = stackalloc byte[32]; // struct __user_cap_header_struct and two of __user_cap_data_struct
            BinaryPrimitives.WriteInt32LittleEndian(none, CapabilityVersion);
            _memory.Write(_scratch, none);
            Require("give capabilities up", SYS_capset, _scratch, _scratch + 8);
        }

        Require("refuse new privileges", SYS_prctl, NoNewPrivileges, 1);
        if (program is not { } filter) return;
        const int headerBytes = 16; // struct sock_fprog
        if (filter.Instructions.Length > (int)ScratchBytes - headerBytes) throw HullException.Invalid("the seccomp filter is too long");
        Span<byte> header = stackalloc byte[headerBytes];
        BinaryPrimitives.WriteUInt16LittleEndian(header, (ushort)filter.Count);
        BinaryPrimitives.WriteUInt64LittleEndian(header[8..], _scratch + headerBytes);
        _memory.Write(_scratch, header);
        _memory.Write(_scratch + headerBytes, filter.Instructions);
        Require("confine itself", SYS_seccomp, FilterMode, filter.Flags, _scratch);
    }

    /// <summary>Gives the twin open files, and answers what numbers they have there (unix(7), SCM_RIGHTS).</summary>
    private List<ulong> Take(IReadOnlyList<SafeFd> files)
    {
        const int most = 64, headerBytes = 16, vectorAt = 64, byteAt = 80, controlAt = 128;
        var taken = new List<ulong>();
        var message = new byte[controlAt];
        var control = new byte[headerBytes + most * sizeof(int)];
        foreach (var some in files.Chunk(most))
        {
            Check.Result(SocketCalls.Send(_giver.Value, [0], Array.ConvertAll(some, file => file.Value)), $"give files to a twin");
            BinaryPrimitives.WriteUInt64LittleEndian(message.AsSpan(16), _scratch + vectorAt); // msg_iov
            BinaryPrimitives.WriteUInt64LittleEndian(message.AsSpan(24), 1);
            BinaryPrimitives.WriteUInt64LittleEndian(message.AsSpan(32), _scratch + controlAt); // msg_control
            BinaryPrimitives.WriteUInt64LittleEndian(message.AsSpan(40), (ulong)control.Length);
            BinaryPrimitives.WriteUInt64LittleEndian(message.AsSpan(vectorAt), _scratch + byteAt);
            BinaryPrimitives.WriteUInt64LittleEndian(message.AsSpan(vectorAt + 8), 1);
            _memory.Write(_scratch, message);
            Require("take files", SYS_recvmsg, _received, _scratch, CloseReceived);
            _memory.Read(_scratch + controlAt, control);
            if (BinaryPrimitives.ReadInt64LittleEndian(control) != headerBytes + some.Length * sizeof(int))
                throw HullException.Internal($"process {_main.Id} did not take all of {some.Length} files");
            for (var index = 0; index < some.Length; index++)
                taken.Add(BinaryPrimitives.ReadUInt32LittleEndian(control.AsSpan(headerBytes + index * sizeof(int))));
        }

        return taken;
    }

    private ulong Require(string what, nint number, ulong a = 0, ulong b = 0, ulong c = 0, ulong d = 0, ulong e = 0) =>
        _main.Require(what, number, a, b, c, d, e);

    /// <summary>Puts a text in the place of one of its command line, of the same length.</summary>
    public void Rename(string old, string name)
    {
        if (old.Length != name.Length) throw HullException.Invalid($"'{name}' is not as long as '{old}'");
        var (start, end) = ProcessMemory.CommandLine(_main.Id);
        var line = new byte[end - start];
        _memory.Read(start, line);
        var at = line.AsSpan().IndexOf(Encoding.UTF8.GetBytes(old));
        if (at >= 0) _memory.Write(start + (ulong)at, Encoding.UTF8.GetBytes(name));
    }
}
