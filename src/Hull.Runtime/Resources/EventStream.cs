using Hull.Core;
using Hull.Linux;
using Hull.Linux.Abi;
using Hull.Linux.Cgroups;
using Hull.Linux.Resctrl;
using Hull.Linux.Syscalls;

namespace Hull.Runtime.Resources;

/// <summary>What <c>events</c> prints: statistics at an interval, and out-of-memory kills as they happen.</summary>
public static class EventStream
{
    private const short Readable = 1; // POLLIN

    /// <summary>One line of statistics.</summary>
    public static ReadOnlyMemory<byte> Once(string id, ICgroup cgroup, ResctrlGroup? resctrl = null) => EventJson.Stats(id, cgroup.ReadStats(), resctrl?.ReadStats());

    /// <summary>Lines until the cgroup is gone or the caller has enough. The interval is more than 0.</summary>
    public static void Follow(
        string id, ICgroup cgroup, TimeSpan interval, Action<ReadOnlyMemory<byte>> write, ResctrlGroup? resctrl = null, CancellationToken cancellationToken = default)
    {
        if (interval <= TimeSpan.Zero) throw HullException.Invalid("duration interval must be greater than 0");
        using var watch = TryWatch(cgroup);
        var next = Environment.TickCount64 + (long)interval.TotalMilliseconds;
        while (!cancellationToken.IsCancellationRequested && cgroup.Exists)
        {
            var wait = (int)Math.Clamp(next - Environment.TickCount64, 0, 1000);
            if (watch is not null && IsReadable(watch.Descriptor, wait))
            {
                if (watch.Acknowledge()) write(EventJson.OutOfMemory(id));
                continue;
            }

            if (watch is null) Thread.Sleep(wait);
            if (Environment.TickCount64 < next) continue;
            next = Environment.TickCount64 + (long)interval.TotalMilliseconds;
            if (cgroup.Exists) write(Once(id, cgroup, resctrl));
        }
    }

    /// <summary>Without the memory controller there are statistics only.</summary>
    private static OomWatch? TryWatch(ICgroup cgroup)
    {
        try
        {
            return cgroup.WatchOom();
        }
        catch (HullException error) when (error.Kind is ErrorKind.Unsupported or ErrorKind.NotFound or ErrorKind.PermissionDenied)
        {
            return null;
        }
    }

    private static bool IsReadable(SafeFd descriptor, int milliseconds)
    {
        Span<PollFd> polled = [new PollFd { fd = descriptor.Value, events = Readable }];
        return ProcessCalls.Poll(polled, milliseconds) > 0;
    }
}
