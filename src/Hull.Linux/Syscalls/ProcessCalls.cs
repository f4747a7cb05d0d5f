using Hull.Linux.Abi;
using static Hull.Linux.Abi.SyscallNumber;

namespace Hull.Linux.Syscalls;

/// <summary>Calls on processes, namespaces and credentials of this process.</summary>
public static unsafe class ProcessCalls
{
    public static nint Kill(int process, int signal) => Kernel.Call(SYS_kill, process, signal);

    public static nint PidfdOpen(int process, uint flags = 0) => Kernel.Call(SYS_pidfd_open, process, (nint)flags);

    public static nint PidfdSendSignal(int pidfd, int signal) => Kernel.Call(SYS_pidfd_send_signal, pidfd, signal, 0, 0);

    public static nint PidfdGetFd(int pidfd, int descriptor) => Kernel.Call(SYS_pidfd_getfd, pidfd, descriptor, 0);

    public static nint SetNamespace(int descriptor, ulong type) => Kernel.Call(SYS_setns, descriptor, (nint)type);

    public static nint Unshare(ulong flags) => Kernel.Call(SYS_unshare, (nint)flags);

    public static nint Prctl(int operation, nint a = 0, nint b = 0, nint c = 0, nint d = 0) =>
        Kernel.Call(SYS_prctl, operation, a, b, c, d);

    public static int GetPid() => (int)Kernel.Call(SYS_getpid);

    public static int GetTid() => (int)Kernel.Call(SYS_gettid);

    public static uint GetEffectiveUser() => (uint)Kernel.Call(SYS_geteuid);

    public static uint GetUser() => (uint)Kernel.Call(SYS_getuid);

    public static uint GetEffectiveGroup() => (uint)Kernel.Call(SYS_getegid);

    /// <summary>Sets the user this thread's new files belong to; answers the one before, whether or not it was set.</summary>
    public static uint SetFileUser(uint user) => (uint)Kernel.Call(SYS_setfsuid, (nint)user);

    /// <summary>The same for the group.</summary>
    public static uint SetFileGroup(uint group) => (uint)Kernel.Call(SYS_setfsgid, (nint)group);

    public static nint SetSession() => Kernel.Call(SYS_setsid);

    /// <summary>Sets the mask and answers the one before.</summary>
    public static uint Umask(uint mask) => (uint)Kernel.Call(SYS_umask, (nint)mask);

    public static nint GetLimit(int process, int resource, out ResourceLimit limit)
    {
        // SAFETY: the kernel fills one struct rlimit64, which has the layout of struct rlimit on 64-bit machines.
        fixed (ResourceLimit* l = &limit) return Kernel.Call(SYS_prlimit64, process, resource, 0, (nint)l);
    }

    public static nint SetLimit(int process, int resource, ResourceLimit limit) =>
        // SAFETY: limit is a parameter on this stack for the time of the call.
        Kernel.Call(SYS_prlimit64, process, resource, (nint)(&limit), 0);

    public static nint GetCapabilities(int process, out CapabilityData low, out CapabilityData high)
    {
        var header = new CapabilityHeader { version = CapabilityHeader.Version3, pid = process };
        var data = stackalloc CapabilityData[2];
        // SAFETY: version 3 fills two data elements.
        var result = Kernel.Call(SYS_capget, (nint)(&header), (nint)data);
        (low, high) = (data[0], data[1]);
        return result;
    }

    /// <summary>
    /// Waits for a child to end. Answers its pid with the wait status of wait4(2) in <paramref name="status"/>, 0 where
    /// <c>WNOHANG</c> was given and it still runs.
    /// </summary>
    public static nint Wait(int process, int options, out int status)
    {
        // SAFETY: the kernel writes one int.
        fixed (int* s = &status) return Kernel.Call(SYS_wait4, process, (nint)s, options, 0);
    }

    /// <summary>
    /// Executes the program behind a descriptor with this process's environment (execveat(2), AT_EMPTY_PATH). Returns only
    /// where that failed.
    /// </summary>
    public static Errno ExecuteDescriptor(SafeFd program, IReadOnlyList<string> arguments)
    {
        using var text = new NativeStrings();
        using var empty = new CString("", stackalloc byte[8]);
        // SAFETY: arguments live in text; environ is the C library's own array.
        fixed (byte* name = empty)
        {
            var result = Kernel.Call(SYS_execveat, program.Value, (nint)name, (nint)text.AddArray(arguments), Kernel.Environment, Fcntl.AT_EMPTY_PATH);
            return (Errno)(int)-result;
        }
    }

    /// <summary>How a child ended, without collecting it; null where it has not.</summary>
    public static Processes.ExitStatus? PeekStatus(SafeFd pidfd)
    {
        // siginfo_t has 128 bytes; of SIGCHLD's, si_code is at 8 and si_status at 24 on 64-bit machines.
        var info = stackalloc byte[128];
        // SAFETY: the kernel fills at most 128 bytes.
        new Span<byte>(info, 128).Clear();
        var result = Kernel.Call(SYS_waitid, Waiting.P_PIDFD, pidfd.Value, (nint)info, Waiting.WEXITED | Waiting.WNOHANG | Waiting.WNOWAIT, 0);
        if (result < 0 || *(int*)(info + 8) == 0) return null;
        var status = *(int*)(info + 24);
        return *(int*)(info + 8) == Waiting.CLD_EXITED ? new Processes.ExitStatus(status, 0) : new Processes.ExitStatus(0, status);
    }

    public static nint Poll(Span<PollFd> descriptors, int milliseconds)
    {
        var timeout = new TimeSpec { tv_sec = milliseconds / 1000, tv_nsec = milliseconds % 1000 * 1_000_000L };
        // SAFETY: descriptors are pinned and counted; a null timeout waits for ever.
        fixed (PollFd* p = descriptors)
            return Kernel.CallOnce(SYS_ppoll, (nint)p, descriptors.Length, milliseconds < 0 ? 0 : (nint)(&timeout), 0, 0);
    }

    /// <summary>ioctl(2) with an integer or no argument.</summary>
    public static nint Ioctl(int descriptor, uint request, nint argument = 0) => Kernel.Call(SYS_ioctl, descriptor, (nint)request, argument);

    /// <summary>ioctl(2) with a struct the kernel reads or fills.</summary>
    public static nint Ioctl<T>(int descriptor, uint request, ref T argument) where T : unmanaged
    {
        // SAFETY: the argument is pinned; its type is the request's.
        fixed (T* p = &argument) return Kernel.Call(SYS_ioctl, descriptor, (nint)request, (nint)p);
    }
}
