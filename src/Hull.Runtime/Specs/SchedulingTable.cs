using Hull.Core;
using Hull.Linux.Abi;
using Hull.Oci.Runtime;
using static Hull.Linux.Abi.Scheduling;

namespace Hull.Runtime.Specs;

/// <summary>Words of process.scheduler, process.ioPriority and process.execCPUAffinity.</summary>
public static class SchedulingTable
{
    private const int MaxCpus = 8192;

    public static SchedAttr ToAttributes(SchedulerSpec scheduler)
    {
        ulong flags = 0;
        foreach (var flag in scheduler.Flags ?? []) flags |= FlagOf(flag);
        return new SchedAttr
        {
            sched_policy = PolicyOf(scheduler.Policy),
            sched_flags = flags,
            sched_nice = scheduler.Nice ?? 0,
            sched_priority = (uint)(scheduler.Priority ?? 0),
            sched_runtime = scheduler.Runtime ?? 0,
            sched_deadline = scheduler.Deadline ?? 0,
            sched_period = scheduler.Period ?? 0,
        };
    }

    /// <summary>The value ioprio_set(2) takes.</summary>
    public static int ToIoPriority(IoPrioritySpec priority)
    {
        var number = priority.Class switch
        {
            "IOPRIO_CLASS_RT" => IoPriority.IOPRIO_CLASS_RT,
            "IOPRIO_CLASS_BE" => IoPriority.IOPRIO_CLASS_BE,
            "IOPRIO_CLASS_IDLE" => IoPriority.IOPRIO_CLASS_IDLE,
            _ => throw HullException.Invalid($"process.ioPriority: unknown class '{priority.Class}'"),
        };
        if (priority.Priority is < 0 or > 7) throw HullException.Invalid($"process.ioPriority: {priority.Priority} is not between 0 and 7");
        return (number << IoPriority.IOPRIO_CLASS_SHIFT) | (priority.Priority ?? 0);
    }

    /// <summary>A bit mask of a list such as <c>0-3,7</c>, or null where there is none.</summary>
    public static byte[]? ToCpuMask(string? list)
    {
        if (string.IsNullOrEmpty(list)) return null;
        var mask = new byte[MaxCpus / 8];
        var highest = 0;
        foreach (var part in list.Split(',', StringSplitOptions.TrimEntries))
        {
            var dash = part.IndexOf('-');
            if (!int.TryParse(dash < 0 ? part : part[..dash], System.Globalization.NumberStyles.None, null, out var first)
                || !int.TryParse(dash < 0 ? part : part[(dash + 1)..], System.Globalization.NumberStyles.None, null, out var last)
                || first > last || last >= MaxCpus)
                throw HullException.Invalid($"process.execCPUAffinity: '{list}' is no list of CPUs such as 0-3,7");
            for (var cpu = first; cpu <= last; cpu++) mask[cpu / 8] |= (byte)(1 << (cpu % 8));
            highest = Math.Max(highest, last);
        }

        return mask[..((highest / 64 + 1) * 8)];
    }

    private static uint PolicyOf(string? policy) => policy switch
    {
        "SCHED_OTHER" => SCHED_NORMAL,
        "SCHED_FIFO" => SCHED_FIFO,
        "SCHED_RR" => SCHED_RR,
        "SCHED_BATCH" => SCHED_BATCH,
        "SCHED_IDLE" => SCHED_IDLE,
        "SCHED_DEADLINE" => SCHED_DEADLINE,
        "SCHED_ISO" => throw HullException.Unsupported("process.scheduler: SCHED_ISO is reserved and not implemented in Linux"),
        _ => throw HullException.Invalid($"process.scheduler: unknown policy '{policy}'"),
    };

    private static ulong FlagOf(string flag) => flag switch
    {
        "SCHED_FLAG_RESET_ON_FORK" => SCHED_FLAG_RESET_ON_FORK,
        "SCHED_FLAG_RECLAIM" => SCHED_FLAG_RECLAIM,
        "SCHED_FLAG_DL_OVERRUN" => SCHED_FLAG_DL_OVERRUN,
        "SCHED_FLAG_KEEP_POLICY" => SCHED_FLAG_KEEP_POLICY,
        "SCHED_FLAG_KEEP_PARAMS" => SCHED_FLAG_KEEP_PARAMS,
        "SCHED_FLAG_UTIL_CLAMP_MIN" => SCHED_FLAG_UTIL_CLAMP_MIN,
        "SCHED_FLAG_UTIL_CLAMP_MAX" => SCHED_FLAG_UTIL_CLAMP_MAX,
        _ => throw HullException.Invalid($"process.scheduler: unknown flag '{flag}'"),
    };
}
