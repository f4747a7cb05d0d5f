using System.Globalization;
using Hull.Core;
using Hull.Linux.Abi;
using Hull.Linux.Syscalls;

namespace Hull.Linux.Processes;

/// <summary>How willingly this process leaves the processors to others (setpriority(2)); what it starts begins with the same.</summary>
public static class ProcessPriority
{
    public const int Normal = 0;

    /// <summary>Where anybody else has something to do, it is done first.</summary>
    public const int Lowest = 19;

    /// <summary>Sets it for every thread there is: for Linux it is each thread's own (sched(7)).</summary>
    public static void Set(int nice)
    {
        foreach (var path in Directory.EnumerateDirectories("/proc/self/task"))
        {
            var thread = int.Parse(Path.GetFileName(path), CultureInfo.InvariantCulture);
            var result = Kernel.Call(SyscallNumber.SYS_setpriority, 0, thread, nice);
            // One that has just ended needs none.
            if (result != -(nint)Errno.ESRCH) Check.Result(result, $"set the priority of thread {thread}");
        }
    }
}
