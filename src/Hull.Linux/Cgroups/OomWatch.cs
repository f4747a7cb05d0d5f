using Hull.Core;
using Hull.Linux.Abi;
using Hull.Linux.Syscalls;
using static Hull.Linux.Abi.SyscallNumber;

namespace Hull.Linux.Cgroups;

/// <summary>Tells of the out-of-memory killer at work in a cgroup.</summary>
public sealed class OomWatch : IDisposable
{
    private const int InotifyCloseOnExec = 0x80000;
    private readonly SafeFd? _source;
    private readonly string? _eventsFile;
    private readonly string _directory;
    private ulong _known;

    private OomWatch(SafeFd descriptor, SafeFd? source, string directory, string? eventsFile)
    {
        Descriptor = descriptor;
        _source = source;
        _directory = directory;
        _eventsFile = eventsFile;
        _known = Kills;
    }

    /// <summary>Becomes readable when something happened; then call <see cref="Acknowledge"/>.</summary>
    public SafeFd Descriptor { get; }

    /// <summary>False once the cgroup was removed.</summary>
    public bool IsAlive => CgroupFile.IsThere(_directory);

    private ulong Kills => _eventsFile is null ? 0 : Number.ParseTable(CgroupFile.TryRead(_directory, _eventsFile)).GetValueOrDefault("oom_kill");

    /// <summary>Blocks until the descriptor has something and takes it away. True when it was an out-of-memory kill.</summary>
    public bool Acknowledge()
    {
        Span<byte> buffer = stackalloc byte[512];
        FileCalls.Read(Descriptor.Value, buffer);
        // v1 wakes the eventfd once more when the cgroup is removed.
        if (_eventsFile is null) return IsAlive;
        var kills = Kills;
        var happened = kills > _known;
        _known = kills;
        return happened;
    }

    /// <summary>Watches the file of a memory cgroup that counts kills; null for a file of another kind and for a cgroup that is gone.</summary>
    public static OomWatch? TryOpen(string file)
    {
        var directory = Path.GetDirectoryName(file) ?? "";
        try
        {
            return Path.GetFileName(file) switch
            {
                "memory.oom_control" => OpenV1(directory),
                "memory.events" => OpenV2(directory),
                _ => null,
            };
        }
        catch (HullException)
        {
            return null;
        }
    }

    /// <summary>v1: an eventfd named to cgroup.event_control together with the open memory.oom_control.</summary>
    internal static OomWatch OpenV1(string directory)
    {
        var source = CgroupFile.Open(directory + "/memory.oom_control", Fcntl.O_RDONLY);
        try
        {
            const int EventCloseOnExec = 0x80000;
            var descriptor = Check.Descriptor(Kernel.Call(SYS_eventfd2, 0, EventCloseOnExec), $"make an eventfd");
            CgroupFile.Write(directory, "cgroup.event_control", $"{descriptor.Value} {source.Value}");
            return new OomWatch(descriptor, source, directory, null);
        }
        catch
        {
            source.Dispose();
            throw;
        }
    }

    /// <summary>v2: an inotify watch on memory.events, which the kernel modifies at each event.</summary>
    internal static OomWatch OpenV2(string directory)
    {
        var descriptor = Check.Descriptor(Kernel.Call(SYS_inotify_init1, InotifyCloseOnExec), $"make an inotify descriptor");
        try
        {
            const uint Modified = 2;
            Check.Result(FileEvents.Watch(descriptor.Value, directory + "/memory.events", Modified), $"watch {directory}/memory.events");
            return new OomWatch(descriptor, null, directory, "memory.events");
        }
        catch
        {
            descriptor.Dispose();
            throw;
        }
    }

    public void Dispose()
    {
        Descriptor.Dispose();
        _source?.Dispose();
    }
}
