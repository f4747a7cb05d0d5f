using System.Runtime.InteropServices;
using static Hull.Linux.Abi.SyscallNumber;

namespace Hull.Linux.Syscalls;

/// <summary>epoll(7), eventfd(2) and signalfd(2).</summary>
public static unsafe class EpollCalls
{
    // struct epoll_event is packed on x86-64 only.
    private static int EventSize => RuntimeInformation.ProcessArchitecture == Architecture.X64 ? 12 : 16;

    private static int DataOffset => EventSize - 8;

    public static nint Create() => Kernel.Call(SYS_epoll_create1, Abi.Waiting.EPOLL_CLOEXEC);

    public static nint Control(int epoll, int operation, int descriptor, uint events, ulong data)
    {
        var entry = stackalloc byte[16];
        // SAFETY: the struct is laid out by hand within 16 bytes of this stack.
        *(uint*)entry = events;
        *(ulong*)(entry + DataOffset) = data;
        return Kernel.Call(SYS_epoll_ctl, epoll, operation, descriptor, (nint)entry);
    }

    /// <summary>Fills in the data words of ready descriptors, 64 at most; answers their number or a negated error number.</summary>
    public static nint Wait(int epoll, Span<ulong> ready, int milliseconds)
    {
        var capacity = Math.Min(ready.Length, 64);
        var events = stackalloc byte[64 * 16];
        // SAFETY: room for capacity events on this stack.
        var count = Kernel.CallOnce(SYS_epoll_pwait, epoll, (nint)events, capacity, milliseconds, 0, 0);
        for (var i = 0; i < count; i++) ready[i] = *(ulong*)(events + i * EventSize + DataOffset);
        return count;
    }

    /// <summary>Fills in the data words and events of ready descriptors, 64 at most; answers as <see cref="Wait(int, Span{ulong}, int)"/>.</summary>
    public static nint Wait(int epoll, Span<(ulong Data, uint Events)> ready, int milliseconds)
    {
        var capacity = Math.Min(ready.Length, 64);
        var events = stackalloc byte[64 * 16];
        // SAFETY: room for capacity events on this stack.
        var count = Kernel.CallOnce(SYS_epoll_pwait, epoll, (nint)events, capacity, milliseconds, 0, 0);
        for (var i = 0; i < count; i++)
        {
            var entry = events + i * EventSize;
            ready[i] = (*(ulong*)(entry + DataOffset), *(uint*)entry);
        }

        return count;
    }

    public static nint EventFd(uint initial = 0, uint flags = 0) => Kernel.Call(SYS_eventfd2, (nint)initial, (nint)(flags | Abi.Ioctl.EFD_CLOEXEC));
}
