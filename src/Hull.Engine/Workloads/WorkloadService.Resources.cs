using Hull.Engine.Drivers;
using Hull.Engine.Resources;

namespace Hull.Engine.Workloads;

/// <summary>What workloads reserve, and the groups they are in.</summary>
internal sealed partial class WorkloadService
{
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

    /// <summary>A weight that was asked for is not overruled by that of a new reservation.</summary>
    private static ResourceLimits WithShares(ResourceLimits update, ResourceLimits merged) =>
        update.CpuReservation is null || update.CpuShares is not null ? update : update with { CpuShares = merged.CpuShares };
}
