using System.Globalization;
using Hull.Core;
using Hull.Engine.Drivers.Container;
using Hull.Engine.Drivers.Shims;
using Hull.Engine.Resources;
using Hull.Engine.Workloads;
using Hull.Hypervisor.Monitor;
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

    private VmControl Control => driver.ControlOf(Spec);

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
        Task.FromResult<IRootAccess>(new VmRoot(Control));

    public override async Task<ProcessTable?> ProcessTableAsync(string arguments, CancellationToken cancellationToken)
    {
        if (arguments.Trim() is not ("" or "-ef" or "ef"))
            throw HullException.Unsupported($"ps arguments '{arguments}': the processes of a virtual machine are listed as by -ef only");
        var processes = await Control.ProcessesAsync().ConfigureAwait(false);
        return new ProcessTable(["UID", "PID", "PPID", "C", "STIME", "TTY", "TIME", "CMD"],
        [
            .. processes.Select(process => (IReadOnlyList<string>)
            [
                Text(process.User), Text(process.Pid), Text(process.Parent), "0",
                DateTimeOffset.FromUnixTimeSeconds(process.StartedAt).ToLocalTime().ToString("HH:mm", CultureInfo.InvariantCulture), process.Terminal,
                TimeSpan.FromSeconds(process.CpuSeconds).ToString("hh\\:mm\\:ss", CultureInfo.InvariantCulture), process.Command,
            ]),
        ]);

        static string Text(uint number) => number.ToString(CultureInfo.InvariantCulture);
    }

    public override async Task<ISavedInstance> SaveAsync(string directory, bool keep, CancellationToken cancellationToken)
    {
        var bundle = AtomicFile.ReadJson(Path.Combine(Spec.RuntimeDirectory, VmBundle.FileName), VmBundleJson.Default.VmBundle);
        if (bundle.SharedMounts.Count > 0)
        {
            throw HullException.Unsupported("a virtual machine that shares files of the host can be neither saved nor duplicated, because others " +
                $"change them too: it has {string.Join(", ", bundle.SharedMounts)}");
        }

        if (bundle.Nics.Count > 1)
        {
            throw HullException.Unsupported("a virtual machine on several networks can be neither saved nor duplicated: disconnect it from all but one " +
                $"of its {bundle.Nics.Count} and start it again");
        }

        return await VmSaved.SaveAsync(Control, bundle, directory, keep).ConfigureAwait(false);
    }

    /// <summary>Processor time and devices are limited outside the machine, memory and processes inside.</summary>
    public override async Task UpdateAsync(ResourceLimits limits, CancellationToken cancellationToken)
    {
        var outside = limits with { Memory = null, MemorySwap = null, MemoryReservation = null, KernelMemory = null, PidsLimit = null };
        await base.UpdateAsync(outside, cancellationToken).ConfigureAwait(false);
        if (limits.Memory is null && limits.PidsLimit is null) return;
        await Control.UpdateAsync(Limit(limits.Memory), Limit(limits.PidsLimit)).ConfigureAwait(false);

        static long Limit(long? value) => value is null ? -1 : Math.Max(0, value.Value);
    }

    /// <summary>What the guest's kernel could give away is not needed, but for a margin in which its programs can grow meanwhile.</summary>
    public override async Task<MemoryHolding> ReadMemoryAsync(CancellationToken cancellationToken)
    {
        const long margin = 32L << 20;
        var actual = await Control.BalloonAsync(0).ConfigureAwait(false);
        var inside = await Control.StatisticsAsync().ConfigureAwait(false);
        return new MemoryHolding(actual, Math.Max(0, actual - Math.Max(0, inside.GuestFreeBytes - margin)));
    }

    /// <summary>By the balloon, which gives back by itself when the guest would have to kill (deflate-on-oom).</summary>
    public override Task PressMemoryAsync(long? bytes, CancellationToken cancellationToken) => Control.BalloonAsync(bytes ?? -1);

    /// <summary>
    /// Memory and processes as the guest's kernel counts them; processor time and input and output as the host's does,
    /// because that is what the machine costs, its emulation included.
    /// </summary>
    public override async Task<InstanceStats> StatsAsync(CancellationToken cancellationToken)
    {
        var stats = await base.StatsAsync(cancellationToken).ConfigureAwait(false);
        var inside = await Control.StatisticsAsync().ConfigureAwait(false);
        return stats with
        {
            Interfaces = ReadTaps(),
            Memory = new MemoryStats
            {
                Usage = (ulong)inside.MemoryBytes,
                Limit = inside.MemoryLimitBytes > 0 ? (ulong)inside.MemoryLimitBytes : (ulong)VmDriver.ShapeOf(Spec).MemoryBytes,
                Details = inside.MemoryDetails.ToDictionary(detail => detail.Key, detail => (ulong)detail.Value),
                Unified = true,
            },
            Pids = new PidsStats((ulong)inside.Processes, (ulong)Math.Max(0, Spec.Resources.PidsLimit ?? 0)),
        };
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
