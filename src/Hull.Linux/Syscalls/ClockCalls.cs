using Hull.Linux.Abi;
using static Hull.Linux.Abi.SyscallNumber;

namespace Hull.Linux.Syscalls;

/// <summary>Clocks of clock_gettime(2), for programs that cannot afford a TimeProvider.</summary>
public static unsafe class ClockCalls
{
    private const int CLOCK_REALTIME = 0;

    /// <summary>Nanoseconds since 1970 by the real-time clock.</summary>
    public static long RealTime()
    {
        TimeSpec now;
        // SAFETY: the kernel fills one struct timespec.
        Check.Result(Kernel.Call(SYS_clock_gettime, CLOCK_REALTIME, (nint)(&now)), $"read the clock");
        return now.tv_sec * 1_000_000_000 + now.tv_nsec;
    }
}
