using Hull.Core;
using Hull.Linux.Abi;
using Hull.Linux.Children;
using Hull.Linux.Processes;
using Hull.Linux.Syscalls;
using Microsoft.Win32.SafeHandles;

namespace Hull.Linux.Netlink;

/// <summary>
/// A network namespace held by a descriptor (network_namespaces(7)). A namespace belongs to a thread, so work inside one
/// runs on a thread of its own; sockets made there stay in it and are used from anywhere.
/// </summary>
public sealed class NetworkNamespace : IDisposable
{
    private NetworkNamespace(SafeFileHandle handle) => Handle = handle;

    public SafeFileHandle Handle { get; }

    /// <summary>Makes an empty namespace; it lives as long as its descriptor, a mount of it, or something inside.</summary>
    public static NetworkNamespace Create() => OwnThread.Run("netns", () =>
    {
        if (NetlinkNative.unshare(NetlinkNative.CLONE_NEWNET) < 0) throw NetlinkError.Last("make a network namespace");
        return OpenFile("/proc/thread-self/ns/net");
    });

    /// <summary>
    /// The same, owned by a user namespace: who has rights there has them over this one. Only a process of one thread may
    /// enter a user namespace, so a child makes it.
    /// </summary>
    public static NetworkNamespace CreateIn(SafeFd userNamespace)
    {
        const byte made = (byte)'n';
        var (channel, childChannel) = ChildReport.CreateChannel(3);
        using (channel)
        using (childChannel)
        using (var program = new ChildProgram())
        {
            var socket = program.Inherit(childChannel);
            program.Set(program.Report, socket);
            program.SetNamespace(program.Inherit(userNamespace), CloneFlags.CLONE_NEWUSER, "a user namespace");
            program.Unshare(CloneFlags.CLONE_NEWNET, "a network namespace");
            program.Notify(socket, made);
            program.WaitFor(socket, made);
            var (pid, pidfd) = ChildLauncher.Start(program, new CloneOptions());
            using (pidfd)
            {
                try
                {
                    childChannel.Dispose();
                    if (ChildReport.Receive(channel, program, []).Message != made) throw HullException.Internal("the maker of a network namespace ended");
                    return OpenFile($"/proc/{pid}/ns/net");
                }
                finally
                {
                    _ = ProcessCalls.PidfdSendSignal(pidfd.Value, 9);
                    _ = ProcessCalls.Wait(pid, 0, out _);
                }
            }
        }
    }

    /// <summary>The namespace of the calling thread.</summary>
    public static NetworkNamespace Current() => OpenFile("/proc/thread-self/ns/net");

    /// <summary>Opens <c>/proc/PID/ns/net</c> or a file to which a namespace is bound.</summary>
    public static NetworkNamespace Open(string path)
    {
        var found = OpenFile(path);
        // NS_GET_NSTYPE answers the clone flag; any other file answers ENOTTY.
        if (NetlinkNative.ioctl_value(found.Handle, 0xb703, 0) == NetlinkNative.CLONE_NEWNET) return found;
        found.Dispose();
        throw HullException.Invalid($"{path} is not a network namespace");
    }

    /// <summary>Runs <paramref name="work"/> on a thread of its own in this namespace and waits for it.</summary>
    public T Run<T>(Func<T> work) => OwnThread.Run("netns", () =>
    {
        Enter();
        return work();
    });

    public void Run(Action work) => Run(() =>
    {
        work();
        return true;
    });

    /// <summary>Moves the calling thread for good: for threads that end with their work.</summary>
    public void Enter()
    {
        if (NetlinkNative.setns(Handle, NetlinkNative.CLONE_NEWNET) < 0) throw NetlinkError.Last("enter a network namespace");
    }

    /// <summary>Binds the namespace to a new file, which keeps it alive and names it for others.</summary>
    public void BindTo(string path)
    {
        var descriptor = NetlinkNative.open(path, NetlinkNative.O_RDONLY | NetlinkNative.O_CREAT | NetlinkNative.O_EXCL | NetlinkNative.O_CLOEXEC, 0x100);
        if (descriptor < 0) throw NetlinkError.Last($"make {path}");
        NetlinkNative.Own(descriptor).Dispose();
        if (NetlinkNative.mount($"/proc/thread-self/fd/{Handle.DangerousGetHandle()}", path, null, NetlinkNative.MS_BIND, null) == 0) return;
        var error = NetlinkError.Last($"bind a network namespace to {path}");
        File.Delete(path);
        throw error;
    }

    /// <summary>Takes away what <see cref="BindTo"/> made; nothing happens where there is nothing.</summary>
    public static void Unbind(string path)
    {
        NetlinkNative.umount2(path, NetlinkNative.MNT_DETACH | NetlinkNative.UMOUNT_NOFOLLOW);
        File.Delete(path);
    }

    public void Dispose() => Handle.Dispose();

    private static NetworkNamespace OpenFile(string path)
    {
        var descriptor = NetlinkNative.open(path, NetlinkNative.O_RDONLY | NetlinkNative.O_CLOEXEC, 0);
        return descriptor >= 0 ? new NetworkNamespace(NetlinkNative.Own(descriptor)) : throw NetlinkError.Last($"open {path}");
    }
}
