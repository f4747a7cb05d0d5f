using Hull.Core;
using Hull.Engine.Drivers;
using Hull.Engine.Resources;

namespace Hull.Engine.Workloads;

/// <summary>What workloads reserve, and the groups they are in.</summary>
internal sealed partial class WorkloadService
{
    private readonly Reclaimer _reclaimer;
    private Task _reclaiming = Task.CompletedTask;

    /// <summary>Who needs memory the most has the highest.</summary>
    private int PriorityOf(WorkloadRecord record) => record.Config.Resources.Priority
        ?? (record.Config.Group is { } group ? _services.Groups.TryGet(group)?.Resources.Priority : null) ?? LimitChecks.DefaultPriority;

    private List<IReclaimable> Reclaimables() =>
        [.. All.Where(workload => workload.State.Status == WorkloadStatus.Running && workload.Instance is not null).Select(workload => new RunningMemory(this, workload))];

    public IReadOnlyList<string> MembersOf(string group) =>
        [.. All.Where(workload => workload.Record.Config.Group == group).Select(workload => workload.Name).Order(StringComparer.Ordinal)];

    /// <summary>
    /// What it reserves when it runs. The memory of a virtual machine is its own whether its programs use it or not: some of it
    /// counts where no reservation was asked for.
    /// </summary>
    private Claim ClaimOf(WorkloadRecord record)
    {
        var limits = record.Config.Resources;
        var memory = limits.MemoryReservation is { } reserved ? Math.Max(0, reserved)
            : DriverOf(record.Isolation).FixedMemoryOf(limits, new IsolationOptions { Options = record.Config.IsolationOptions }) / 100 * Options.Resources.VmMemoryPercent;
        return new Claim(record.Id, record.Name, record.Config.Group, new Reservation(Math.Max(0, limits.CpuReservation ?? 0), memory));
    }

    /// <summary>Refuses what can never be had before anything is made for it.</summary>
    private void CheckReservation(WorkloadRecord record)
    {
        if (record.Config.Group is { } group) _ = _services.Groups.Get(group);
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
            PriorityOf(workload.Record), workload.Record.Config.Resources, _services.Admission.Of(workload.Id), _reclaimer.TakenFrom(workload.Id) is { Bytes: > 0 } taken ? taken : null)),
    ]);

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
