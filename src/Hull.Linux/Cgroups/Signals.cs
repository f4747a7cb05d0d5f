using Hull.Linux.Abi;
using Hull.Linux.Syscalls;

namespace Hull.Linux.Cgroups;

/// <summary>Signals to processes of a cgroup; one that ended meanwhile is no failure.</summary>
internal static class Signals
{
    internal const int Kill = 9;

    internal static void Send(int pid, int signal)
    {
        var result = ProcessCalls.Kill(pid, signal);
        if (result < 0 && result != -(nint)Errno.ESRCH) Check.Result(result, $"send signal {signal} to process {pid}");
    }
}
