using Hull.Core;
using Hull.Engine.Drivers.Container;
using Hull.Engine.Drivers.Shims;
using Hull.Linux.Cgroups;
using Hull.Linux.Files;
using Hull.Linux.Netlink;
using Hull.Linux.Processes;
using Hull.Oci.Runtime;

namespace Hull.Engine.Drivers.Vm;

/// <summary>
/// A virtual machine under a shim. Its init, seen from the host, is the machine's monitor process; what a container's
/// init would answer by procfs, such as its root, is not the guest's and must never be taken for it.
/// </summary>
internal sealed class VmInstance(VmDriver driver, InstanceSpec spec, ICgroup cgroup, ChildProcess? shim)
    : ContainerInstance(driver, spec, cgroup, shim)
{
    private const int KillSignal = 9;

    public override Task SignalAsync(int signal, bool everyProcess, CancellationToken cancellationToken)
    {
        // The cgroup holds the monitor and QEMU: only the signal that ends the machine is for them.
        if (signal != KillSignal) return base.SignalAsync(signal, everyProcess: false, cancellationToken);
        Cgroup.Kill(KillSignal);
        return Task.CompletedTask;
    }

    public override Task<IReadOnlyList<int>> ProcessIdsAsync(CancellationToken cancellationToken) =>
        Task.FromResult<IReadOnlyList<int>>([ProcessId]);

    public override Task<IRootAccess> OpenRootAsync(CancellationToken cancellationToken) =>
        throw HullException.Unsupported(VmDriver.RootReason);

    public override Task UpdateAsync(ResourceLimits limits, CancellationToken cancellationToken)
    {
        if (limits.Memory is not null || limits.MemorySwap is not null)
            throw HullException.Unsupported("the memory of a running virtual machine cannot be changed: set it at its creation");
        return base.UpdateAsync(limits, cancellationToken);
    }

    public override async Task<InstanceStats> StatsAsync(CancellationToken cancellationToken)
    {
        var stats = await base.StatsAsync(cancellationToken).ConfigureAwait(false);
        return stats with { Interfaces = ReadTaps() };
    }

    /// <summary>Users are looked up in the layers: the writable disk is the guest's own and never mounted on the host.</summary>
    protected override Account ResolveUser(string user, ProcessSpec init) => user.Length == 0 && init.User is { } same
        ? new Account(same.Uid, same.Gid, same.AdditionalGids ?? [], Accounts.HomeOf(init.Env))
        : VmDriver.ResolveAccount(Spec, user);

    /// <summary>A tap counts from the host's side: what it sent is what the guest received.</summary>
    private Dictionary<string, InterfaceStats> ReadTaps()
    {
        var interfaces = new Dictionary<string, InterfaceStats>();
        using var socket = new RouteSocket();
        foreach (var endpoint in Spec.Network.Endpoints)
        {
            if (endpoint.HostInterface is null || socket.FindLink(endpoint.HostInterface) is not { } link) continue;
            interfaces[endpoint.InterfaceName] = new InterfaceStats
            {
                ReceivedBytes = link.Counters.SentBytes,
                ReceivedPackets = link.Counters.SentPackets,
                ReceiveErrors = link.Counters.SendErrors,
                ReceiveDropped = link.Counters.SendDropped,
                SentBytes = link.Counters.ReceivedBytes,
                SentPackets = link.Counters.ReceivedPackets,
                SendErrors = link.Counters.ReceiveErrors,
                SendDropped = link.Counters.ReceiveDropped,
            };
        }

        return interfaces;
    }
}
