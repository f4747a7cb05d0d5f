using Microsoft.Win32.SafeHandles;

namespace Hull.Linux.Cgroups;

/// <summary>Tells of the out-of-memory killer at work in a cgroup.</summary>
public sealed class OomWatch : IDisposable
{
    /// <summary>v1: an eventfd that counts; v2: an inotify descriptor on memory.events. Both become readable.</summary>
    public required SafeFileHandle Descriptor { get; init; }

    /// <summary>v2: the file to read again when the descriptor became readable; v1: null, the event says it.</summary>
    public string? EventsFile { get; init; }

    /// <summary>v1: kept open while watching; the kernel ends the watch with it.</summary>
    internal SafeFileHandle? Source { get; init; }

    public void Dispose()
    {
        Descriptor.Dispose();
        Source?.Dispose();
    }
}
