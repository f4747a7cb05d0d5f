using System.Globalization;
using Hull.Core;
using Hull.Engine.Resources;
using Hull.Linux.Cgroups;
using Hull.Linux.Files;

namespace Hull.Engine.Drivers.Container;

/// <summary>Limits and usage, by the container's cgroup; the shim is not asked.</summary>
internal partial class ContainerInstance
{
    public virtual Task UpdateAsync(ResourceLimits limits, CancellationToken cancellationToken)
    {
        Cgroup.Apply(CgroupTranslation.ToLimits(limits));
        return Task.CompletedTask;
    }

    /// <summary>Files in the page cache can be read again; what is not of files is needed, and so are files of a tmpfs.</summary>
    public virtual Task<MemoryHolding> ReadMemoryAsync(CancellationToken cancellationToken)
    {
        var memory = Cgroup.ReadStats().Memory;
        var isUnified = Cgroup.Version == CgroupVersion.V2;
        var held = (long)(memory?.Memory.Usage ?? 0);
        var cache = Detail(isUnified ? "file" : "total_cache") - Detail(isUnified ? "shmem" : "total_shmem");
        return Task.FromResult(new MemoryHolding(held, Math.Max(0, held - Math.Max(0, cache))));

        long Detail(string name) => (long)(memory?.Detail.GetValueOrDefault(name) ?? 0);
    }

    public virtual Task PressMemoryAsync(long? bytes, CancellationToken cancellationToken) => Task.Run(() =>
    {
        if (bytes is { } target) CgroupMemory.Press(Cgroup, target);
        else CgroupMemory.Release(Cgroup);
    }, cancellationToken);

    public virtual Task<InstanceStats> StatsAsync(CancellationToken cancellationToken)
    {
        if (_status != InstanceStatus.Running) throw HullException.Conflict($"{Id} does not run");
        var stats = CgroupTranslation.ToStats(Cgroup.ReadStats(), Cgroup.Version == CgroupVersion.V2, _driver.Clock.GetUtcNow());
        return Task.FromResult(stats with { Interfaces = Spec.Network.Host ? NoInterfaces : ReadInterfaces() });
    }

    private static readonly Dictionary<string, InterfaceStats> NoInterfaces = [];

    /// <summary>/proc/PID/net/dev (proc_pid_net(5)) counts what the init's network namespace saw.</summary>
    private Dictionary<string, InterfaceStats> ReadInterfaces()
    {
        string text;
        try
        {
            text = System.Text.Encoding.ASCII.GetString(AtomicFile.Read($"/proc/{ProcessId}/net/dev", 1 << 20));
        }
        catch (HullException)
        {
            return NoInterfaces;
        }

        var interfaces = new Dictionary<string, InterfaceStats>();
        foreach (var line in text.Split('\n').Skip(2))
        {
            var colon = line.IndexOf(':');
            if (colon < 0) continue;
            var name = line[..colon].Trim();
            var counts = line[(colon + 1)..].Split(' ', StringSplitOptions.RemoveEmptyEntries);
            if (name == "lo" || counts.Length < 12) continue;
            interfaces[name] = new InterfaceStats
            {
                ReceivedBytes = Count(counts[0]),
                ReceivedPackets = Count(counts[1]),
                ReceiveErrors = Count(counts[2]),
                ReceiveDropped = Count(counts[3]),
                SentBytes = Count(counts[8]),
                SentPackets = Count(counts[9]),
                SendErrors = Count(counts[10]),
                SendDropped = Count(counts[11]),
            };
        }

        return interfaces;
    }

    private static ulong Count(string text) => ulong.TryParse(text, CultureInfo.InvariantCulture, out var count) ? count : 0;
}
