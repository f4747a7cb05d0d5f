using Hull.Core;
using Hull.Engine.Drivers;
using Hull.Engine.Drivers.Container;
using Hull.Engine.Resources;
using Hull.Hypervisor;
using Hull.Linux.Cgroups;
using Hull.Network;

namespace Hull.Engine.Machines;

/// <content>What machines reserve, the groups they are in, and the order in which memory is taken from them.</content>
public sealed partial class MachineManager : IResourceHolders
{
    private Reclaimer? _reclaimer;

    /// <inheritdoc/>
    IReadOnlyList<string> IGroupMembers.MembersOf(string group) =>
        [.. _store.All.Where(record => record.Config.Group == group).Select(record => record.Config.Name).Order(StringComparer.Ordinal)];

    /// <inheritdoc/>
    void IGroupMembers.CheckMembers(ResourceGroup group)
    {
        // A machine has no rates of its own that those of a group could contradict.
    }

    /// <inheritdoc/>
    async Task IGroupMembers.ApplyAsync(ResourceGroup group, CancellationToken cancellationToken)
    {
        foreach (var member in _store.All.Where(record => record.Config.Group == group.Name && Find(record.Id) is not null).ToList())
        {
            await ExclusiveAsync(member.Id, async record =>
            {
                if (_options.Networks is { } networks && networks.FindInstance(record.Id) is { Endpoints: { Count: > 0 } endpoints } && BandwidthOf(record.Config) is var bandwidth
                    && endpoints.Any(endpoint => endpoint.Limits != bandwidth))
                    await networks.SetLimitsAsync(record.Id, null, bandwidth ?? new BandwidthLimits(), cancellationToken).ConfigureAwait(false);
                return true;
            }, cancellationToken).ConfigureAwait(false);
        }
    }

    /// <inheritdoc/>
    IReadOnlyList<IReclaimable> IResourceHolders.Reclaimables() =>
        [.. Running().Where(pair => !pair.Live.Paused).Select(pair => new MachineMemory(this, pair.Record, pair.Live.Machine))];

    /// <inheritdoc/>
    IReadOnlyList<Allocation> IResourceHolders.Allocations(Func<string, Taken?> taken) =>
    [
        .. Running().Select(pair => new Allocation(pair.Record.Id, pair.Record.Config.Name, "machine", pair.Record.Config.Group, PriorityOf(pair.Record.Config),
            pair.Record.Config.Resources, ClaimOf(pair.Record).Reserved, taken(pair.Record.Id))),
    ];

    /// <inheritdoc/>
    void IResourceHolders.Attach(Reclaimer reclaimer)
    {
        _reclaimer = reclaimer;
        foreach (var (record, _) in Running()) reclaimer.Adopt(record.Id);
    }

    private List<(MachineRecord Record, Live Live)> Running()
    {
        lock (_lock) return [.. _live.Select(pair => (Record: _store.TryGet(pair.Key), pair.Value)).Where(pair => pair.Record is not null).Select(pair => (pair.Record!, pair.Value))];
    }

    private ResourceGroup? GroupOf(MachineConfig config) => config.Group is { } group ? _options.Groups?.TryGet(group) : null;

    private int PriorityOf(MachineConfig config) => config.Resources.Priority ?? GroupOf(config)?.Resources.Priority ?? LimitChecks.DefaultPriority;

    /// <summary>The rates that it shares with its group; null for none.</summary>
    private BandwidthLimits? BandwidthOf(MachineConfig config) => GroupOf(config) is { Resources: { NetworkEgressBits: > 0 } or { NetworkIngressBits: > 0 } } group
        ? new BandwidthLimits { Shared = new SharedBandwidth("group " + group.Name, group.Resources.NetworkEgressBits ?? 0, group.Resources.NetworkIngressBits ?? 0) } : null;

    /// <summary>A group is not part of what a machine brings along: one of that name may be no more, or another's.</summary>
    private MachineConfig InKnownGroup(MachineConfig config) =>
        config.Group is not null && GroupOf(config) is null ? config with { Group = null } : config;

    /// <summary>Refuses what can never be had, and a group that is not there.</summary>
    private void CheckReservation(MachineRecord record)
    {
        if (record.Config.Group is { } group) (_options.Groups ?? throw HullException.Unsupported("this engine has no groups")).Get(group);
        _options.Admission?.CheckPossible(ClaimOf(record));
    }

    private Claim ClaimOf(MachineRecord record) => new(record.Id, "machine " + record.Config.Name, record.Config.Group,
        new Reservation(Math.Max(0, record.Config.Resources.CpuReservation ?? 0),
            record.Config.Resources.MemoryReservation is { } reserved ? Math.Max(0, reserved) : record.Config.MemoryBytes * _options.ReservedPercent / 100));

    /// <summary>Limits are of the monitor's cgroup, which its jail has made: what the guest does is on its account.</summary>
    private void Limit(string id, ResourceLimits limits) =>
        CgroupManager.Name(id, JailOf(id, "monitor").CgroupsPath).Apply(CgroupTranslation.ToLimits(limits));

    /// <summary>The cgroup that those of a machine's jails are in: its group's, or the engine's.</summary>
    private string CgroupParentOf(string id)
    {
        var parent = _options.CgroupParent.TrimEnd('/');
        return _store.TryGet(id)?.Config.Group is { } group ? $"{parent}/{ResourceGroup.CgroupPrefix}{group}" : parent;
    }

    /// <summary>A running machine as the reclaimer sees it: what it was given by its balloon, and what its guest says it could do without.</summary>
    private sealed class MachineMemory(MachineManager manager, MachineRecord record, IVirtualMachine machine) : IReclaimable
    {
        /// <summary>In which programs of the guest can grow until the next look.</summary>
        private const long Margin = 32L << 20;

        public string Id => record.Id;

        public string Name => "machine " + record.Config.Name;

        public int Priority { get; } = manager.PriorityOf(record.Config);

        public long Reserved { get; } = manager.ClaimOf(record).Reserved.MemoryBytes;

        public async Task<MemoryHolding> ReadAsync(CancellationToken cancellationToken)
        {
            var memory = await machine.QueryGuestMemoryAsync(cancellationToken).ConfigureAwait(false);
            // A guest that says nothing has no balloon, or has not been asked before.
            return new MemoryHolding(memory.Bytes, memory.Available is { } available ? Math.Max(0, memory.Bytes - Math.Max(0, available - Margin)) : memory.Bytes);
        }

        public Task PressAsync(long? bytes, CancellationToken cancellationToken) =>
            machine.SetBalloonAsync(bytes ?? manager._store.Get(record.Id).Config.MemoryBytes, cancellationToken);
    }
}
