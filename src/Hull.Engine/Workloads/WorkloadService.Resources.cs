using Hull.Core;
using Hull.Engine.Drivers;
using Hull.Engine.Resources;
using Hull.Network;

namespace Hull.Engine.Workloads;

/// <summary>What workloads reserve, and the groups they are in.</summary>
internal sealed partial class WorkloadService
{
    private readonly Reclaimer _reclaimer;
    private Task _reclaiming = Task.CompletedTask;
    private IResourceHolders? _machines;

    /// <summary>Who else shares groups and memory with workloads.</summary>
    public void Include(IResourceHolders machines)
    {
        _machines = machines;
        machines.Attach(_reclaimer);
    }

    /// <summary>Who needs memory the most has the highest.</summary>
    private int PriorityOf(WorkloadRecord record) => record.Config.Resources.Priority
        ?? (record.Config.Group is { } group ? _services.Groups.TryGet(group)?.Resources.Priority : null) ?? LimitChecks.DefaultPriority;

    private List<IReclaimable> Reclaimables() =>
    [
        .. All.Where(workload => workload.State.Status == WorkloadStatus.Running && workload.Instance is not null).Select(workload => new RunningMemory(this, workload)),
        .. _machines?.Reclaimables() ?? [],
    ];

    public IReadOnlyList<string> MembersOf(string group) =>
        [.. All.Where(workload => workload.Record.Config.Group == group).Select(workload => workload.Name).Order(StringComparer.Ordinal), .. _machines?.MembersOf(group) ?? []];

    public void CheckMembers(ResourceGroup group)
    {
        foreach (var workload in All.Where(workload => workload.Record.Config.Group == group.Name)) CheckNetwork(group, workload.Record);
    }

    /// <summary>What a member sends passes one queue: its own or the group's.</summary>
    private static void CheckNetwork(ResourceGroup group, WorkloadRecord record)
    {
        if (group.Resources.NetworkEgressBits is > 0 && record.Config.Resources.NetworkEgressBits is > 0)
            throw HullException.Conflict($"{record.Name} has a rate of its own for what it sends, and group {group.Name} has one for all its members: use one of them");
    }

    public async Task ApplyAsync(ResourceGroup group, CancellationToken cancellationToken)
    {
        _reclaimer.Wake();
        if (_machines is not null) await _machines.ApplyAsync(group, cancellationToken).ConfigureAwait(false);
        if (_services.Networks is not { } networks) return;
        foreach (var workload in All.Where(workload => workload.Record.Config.Group == group.Name).ToList())
        {
            await ChangeAsync(workload, async () =>
            {
                if (!workload.State.IsRunning || networks.FindInstance(workload.Id) is not { Endpoints.Count: > 0 } network) return;
                var bandwidth = BandwidthOf(workload.Record);
                if (network.Endpoints.Any(endpoint => endpoint.Limits != bandwidth))
                    await networks.SetLimitsAsync(workload.Id, null, bandwidth ?? new BandwidthLimits(), cancellationToken).ConfigureAwait(false);
            }, cancellationToken).ConfigureAwait(false);
        }
    }

    /// <summary>Its own rates, and those that it shares with its group; null for none.</summary>
    private BandwidthLimits? BandwidthOf(WorkloadRecord record)
    {
        var own = record.Config.Resources;
        var group = record.Config.Group is { } name ? _services.Groups.TryGet(name) : null;
        var shared = group?.Resources is { NetworkEgressBits: > 0 } or { NetworkIngressBits: > 0 }
            ? new SharedBandwidth("group " + group.Name, group.Resources.NetworkEgressBits ?? 0, group.Resources.NetworkIngressBits ?? 0) : null;
        return own is { NetworkEgressBits: null, NetworkIngressBits: null } && shared is null ? null
            : new BandwidthLimits(own.NetworkEgressBits ?? 0, own.NetworkIngressBits ?? 0) { Shared = shared };
    }

    /// <summary>
    /// What it reserves when it runs. The memory of a virtual machine is its own whether its programs use it or not: some of it
    /// counts where no reservation was asked for.
    /// </summary>
    private Claim ClaimOf(WorkloadRecord record)
    {
        var limits = record.Config.Resources;
        var memory = limits.MemoryReservation is { } reserved ? Math.Max(0, reserved)
            : DriverOf(record.Isolation).FixedMemoryOf(limits, new IsolationOptions { Options = record.Config.IsolationOptions }) * Options.Resources.VmMemoryPercent / 100;
        return new Claim(record.Id, record.Name, record.Config.Group, new Reservation(Math.Max(0, limits.CpuReservation ?? 0), memory));
    }

    /// <summary>Refuses what can never be had before anything is made for it.</summary>
    private void CheckReservation(WorkloadRecord record)
    {
        if (record.Config.Group is { } group) CheckNetwork(_services.Groups.Get(group).Group, record);
        _services.Admission.CheckPossible(ClaimOf(record));
    }

    /// <summary>Keeps what it reserves, and sees to the cgroup of its group.</summary>
    private void Reserve(WorkloadRecord record)
    {
        _services.Admission.Admit(ClaimOf(record));
        if (record.Config.Group is { } group) _services.Groups.Prepare(group);
    }

    public Task<IReadOnlyList<Allocation>> AllocationsAsync(CancellationToken cancellationToken) => Task.FromResult<IReadOnlyList<Allocation>>(
    [
        .. All.Where(workload => workload.State.IsRunning).Select(workload => new Allocation(workload.Id, workload.Name, workload.Record.Isolation, workload.Record.Config.Group,
            PriorityOf(workload.Record), workload.Record.Config.Resources, _services.Admission.Of(workload.Id), TakenFrom(workload.Id))),
        .. _machines?.Allocations(TakenFrom) ?? [],
    ]);

    private Taken? TakenFrom(string id) => _reclaimer.TakenFrom(id) is { Bytes: > 0 } taken ? taken : null;

    /// <summary>A running workload as the reclaimer sees it.</summary>
    private sealed class RunningMemory(WorkloadService service, Workload workload) : IReclaimable
    {
        public string Id => workload.Id;

        public string Name => workload.Name;

        public int Priority { get; } = service.PriorityOf(workload.Record);

        public long Reserved { get; } = service.ClaimOf(workload.Record).Reserved.MemoryBytes;

        public Task<MemoryHolding> ReadAsync(CancellationToken cancellationToken) => workload.RequireRunning().ReadMemoryAsync(cancellationToken);

        /// <summary>In order with other changes of its limits; one that takes long is not waited for.</summary>
        public async Task PressAsync(long? bytes, CancellationToken cancellationToken)
        {
            if (!await workload.Gate.WaitAsync(TimeSpan.Zero, cancellationToken).ConfigureAwait(false)) throw HullException.Conflict($"{Name} is being changed");
            try
            {
                await workload.RequireRunning().PressMemoryAsync(bytes, cancellationToken).ConfigureAwait(false);
            }
            finally
            {
                workload.Gate.Release();
            }
        }
    }

    /// <summary>A weight that was asked for is not overruled by that of a new reservation.</summary>
    private static ResourceLimits WithShares(ResourceLimits update, ResourceLimits merged) =>
        update.CpuReservation is null || update.CpuShares is not null ? update : update with { CpuShares = merged.CpuShares };
}
