using System.Text.Json;
using Hull.Agent.Protocol;
using Hull.Hypervisor.Agent;
using Hull.Hypervisor.Disks;
using Hull.Hypervisor.Guest;
using Hull.Hypervisor.Qemu;
using Hull.Hypervisor.Qmp;
using Hull.Hypervisor.Sandboxes;
using Hull.Hypervisor.Templates;
using Hull.Linux;
using Hull.Linux.Cgroups;
using Hull.Linux.Files;
using Hull.Linux.Netlink;
using Hull.Linux.Syscalls;
using Hull.Oci.Runtime;
using Hull.Runtime;
using Hull.Runtime.Resources;

namespace Hull.Hypervisor.Monitor;

/// <summary>
/// The process that stands on the host for the init of a container in a virtual machine: it starts QEMU, passes the
/// release gate, connects its own standard streams to those of the container, and ends with the container's exit code.
/// </summary>
internal sealed class VmMonitor : IAsyncDisposable
{
    private static readonly TimeSpan DrainTime = TimeSpan.FromSeconds(5);

    private readonly SandboxMachine _sandbox;
    private readonly List<Task> _outputs = [];
    private readonly SafeFd? _terminal;

    private readonly OutOfMemoryFile _outOfMemory;

    private readonly VmBundle _bundle;

    private Task? _begun;

    /// <summary>To be named at the start; null where the container was created with it.</summary>
    private readonly ContainerProgram? _program;

    private VmMonitor(string id, VmBundle bundle, Spec spec, SandboxMachine sandbox, SafeFd? terminal, string directory)
    {
        (Id, _bundle, _sandbox, _terminal) = (id, bundle, sandbox, terminal);
        if (sandbox.Container is not null) _program = new ContainerProgram(spec.Process?.Args ?? [], spec.Process?.Env ?? []);
        _outOfMemory = new OutOfMemoryFile(Path.Combine(directory, VmBundle.MemoryEventsName));
        sandbox.Agent.OutOfMemory += container =>
        {
            if (container == GuestId) _outOfMemory.Add();
        };
    }

    public string Id { get; }

    /// <summary>The id that the container has in the guest: another's, where that machine was duplicated or had it already.</summary>
    public string GuestId => _bundle.Adopted ?? _sandbox.Container ?? Id;

    public AgentClient Agent => _sandbox.Agent;

    /// <summary>Pid of QEMU.</summary>
    public int MachineProcessId => _sandbox.Machine.ProcessId;

    /// <summary>Builds the machine and in it the container up to the step before its program runs.</summary>
    /// <param name="warm">What was made ready ahead, if anything; it is used up or ended.</param>
    public static async Task<VmMonitor> CreateAsync(string id, string bundleDirectory, WarmTwin? warm = null)
    {
        var bundle = AtomicFile.ReadJson(Path.Combine(bundleDirectory, VmBundle.FileName), VmBundleJson.Default.VmBundle);
        var spec = RuntimeDocuments.ParseSpec(AtomicFile.Read(Path.Combine(bundleDirectory, "config.json")), "config.json");
        var (cgroupsPath, entering) = EnterCgroup(id, spec);
        var layers = bundle.Layers.Count == 0 ? null : new LayerDisk(Path.Combine(bundleDirectory, "layers.vmdk"), bundle.Layers);
        var jail = new QemuJail(Path.Combine(bundleDirectory, "vmm"), cgroupsPath + "/vmm", QemuJail.UserFor(id),
            [bundle.Guest.Kernel, bundle.Guest.Initrd]);
        var options = new SandboxOptions(RandomId.Short(id), layers, bundle.WritableDisk, OpenTap(bundle),
            Path.Combine(bundleDirectory, "console.log"), Path.Combine(bundleDirectory, "qemu.log"), jail,
            bundle.SharedMounts.Count == 0 ? null
                : ShareDaemon.Start(Path.Combine(bundleDirectory, "files"), cgroupsPath + "/files", GuestSpec.SharesOf(spec, bundle.SharedMounts)),
            OpenFurtherTaps(bundle));
        // Until it has addresses of its own, nothing it says may reach the network.
        if (bundle.Adopted is not null) ConnectTaps(bundle, false);
        var sandbox = await StartAsync(bundle, options, warm).ConfigureAwait(false);
        var terminal = spec.Process?.Terminal == true ? SafeFd.Borrow(0) : null;
        var monitor = new VmMonitor(id, bundle, spec, sandbox, terminal, bundleDirectory);
        try
        {
            var released = sandbox.Agent.ReleaseAsync(ReleaseFor(bundle));
            if (bundle.Adopted is not null)
            {
                await released.ConfigureAwait(false);
                ConnectTaps(bundle, true);
            }

            // The agent has the second request at hand when it is done with the first, and refuses it had that failed.
            var created = monitor.CreateContainerAsync(bundle, spec, layers);
            var confined = Task.WhenAll(entering, sandbox.Confined);
            if (bundle.Begins && confined.IsCompletedSuccessfully) monitor.Begin();
            await released.ConfigureAwait(false);
            await created.ConfigureAwait(false);
            await confined.ConfigureAwait(false);
            if (bundle.Begins) monitor.Begin();
            return monitor;
        }
        catch
        {
            await monitor.DisposeAsync().ConfigureAwait(false);
            throw;
        }
    }

    /// <summary>
    /// Lets user code run ahead of <see cref="StartAsync()"/>, which then answers for it: the agent does this when it is done with the
    /// creation, without anybody's being told in between. A terminal is given its size first.
    /// </summary>
    private void Begin()
    {
        if (_terminal is not null || _bundle.Adopted is not null || _begun is not null) return;
        _begun = Agent.StartContainerAsync(GuestId, _program);
        // Where the creation failed nobody asks.
        _begun.ContinueWith(static begun => _ = begun.Exception, CancellationToken.None, TaskContinuationOptions.OnlyOnFaulted, TaskScheduler.Default);
    }

    /// <summary>Lets user code run.</summary>
    public async Task StartAsync()
    {
        if (_begun is not null)
        {
            await _begun.ConfigureAwait(false);
            return;
        }

        // Who supervises sets its size once the container is there, perhaps before anybody listens for a change.
        if (_terminal is not null && Linux.Terminals.TerminalSession.GetSize(_terminal) is { Columns: > 0, Rows: > 0 } size)
            await ResizeAsync("", size.Columns, size.Rows).ConfigureAwait(false);
        await (_bundle.Adopted is null ? Agent.StartContainerAsync(GuestId, _program) : Agent.ResumeContainerAsync(GuestId)).ConfigureAwait(false);
    }

    /// <summary>Saves RAM into a memory file, and devices and disk into a directory; answers how long the guest stood still.</summary>
    public Task<TimeSpan> SaveAsync(string directory, SafeFd memory) => _sandbox.SaveAsync(memory, Path.Combine(directory, VmControl.StateName), () =>
    {
        if (_bundle.WritableDisk is { } disk) SparseFile.Copy(disk, Path.Combine(directory, VmControl.DiskName));
    });

    /// <summary>Makes a twin of the machine that stands still as it is now; see <see cref="SandboxMachine.HoldAsync"/>.</summary>
    public Task<HeldMachine> HoldAsync(string directory) => _sandbox.HoldAsync(directory);

    public Task SignalAsync(string execId, int signal) =>
        Agent.SignalAsync(new SignalRequest(new ProcessTarget(GuestId, execId), (uint)signal, EveryProcess: false));

    public Task ResizeAsync(string execId, int columns, int rows) =>
        Agent.ResizeAsync(new ResizeRequest(new ProcessTarget(GuestId, execId), (uint)columns, (uint)rows));

    /// <summary>Waits for the end of the container and of its output; answers its exit code.</summary>
    public async Task<int> WaitAsync()
    {
        try
        {
            var exit = await Agent.WaitForExitAsync(new ProcessTarget(GuestId, "")).ConfigureAwait(false);
            if (exit.OutOfMemory) _outOfMemory.Require();
            await Task.WhenAll(_outputs).WaitAsync(DrainTime).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
            return (int)exit.ExitCode;
        }
        catch (HullException cause) when (cause.Kind == ErrorKind.Unavailable)
        {
            // QEMU ended under the container, as a machine that loses its power.
            return 137;
        }
    }

    /// <summary>Starts a further process with the given streams; answers its end.</summary>
    public async Task<Task<int>> ExecAsync(string execId, byte[] process, bool terminal, IReadOnlyList<SafeFd> descriptors)
    {
        var (streams, outputs) = OpenStreams(terminal, descriptors, out var feed);
        var (columns, rows) = terminal ? Linux.Terminals.TerminalSession.GetSize(descriptors[0]) : (0, 0);
        await Agent.ExecAsync(new ExecRequest(GuestId, execId, process, "", streams, (uint)columns, (uint)rows)).ConfigureAwait(false);
        feed();
        return EndOfAsync(execId, outputs, descriptors);
    }

    /// <summary>Copies files in or out; answers the exit code of the process that did it, after its output.</summary>
    public async Task<int> ArchiveAsync(string verb, string path, IReadOnlyList<SafeFd> descriptors)
    {
        var id = "archive-" + RandomId.New()[..16];
        var (streams, outputs) = OpenStreams(terminal: false, descriptors, out var feed);
        try
        {
            await Agent.ArchiveAsync(new ArchiveRequest(new ProcessTarget(GuestId, id), verb, path, streams)).ConfigureAwait(false);
            feed();
            var exit = await Agent.WaitForExitAsync(new ProcessTarget(GuestId, id)).ConfigureAwait(false);
            await Task.WhenAll(outputs).ConfigureAwait(false);
            return (int)exit.ExitCode;
        }
        finally
        {
            foreach (var descriptor in descriptors) descriptor.Dispose();
        }
    }

    public Task<StatisticsReply> StatisticsAsync() => Agent.StatisticsAsync(GuestId);

    public Task<IReadOnlyList<GuestProcess>> ProcessesAsync() => Agent.ProcessesAsync(GuestId);

    /// <summary>Applies limits that are not -1. Memory that the machine does not have is plugged in, and stays.</summary>
    public async Task UpdateAsync(long memoryBytes, long processes)
    {
        if (memoryBytes > _sandbox.Machine.Config.MemoryBytes) await _sandbox.Machine.SetMemoryAsync(memoryBytes).ConfigureAwait(false);
        await Agent.UpdateContainerAsync(new UpdateContainerRequest(GuestId, memoryBytes, processes)).ConfigureAwait(false);
    }

    /// <summary>Asks the guest to do with so many bytes, -1 for all it was given and 0 for no change; answers what it has.</summary>
    public async Task<long> BalloonAsync(long bytes)
    {
        var qmp = _sandbox.Machine.Qmp;
        if (bytes != 0)
        {
            var (start, plugged) = await qmp.ExecuteAsync(QmpCommands.QueryMemorySize()).ConfigureAwait(false);
            await qmp.ExecuteAsync(QmpCommands.Balloon(bytes < 0 ? start + plugged : Math.Min(bytes, start + plugged))).ConfigureAwait(false);
        }

        return await qmp.ExecuteAsync(QmpCommands.QueryBalloon()).ConfigureAwait(false);
    }

    public async ValueTask DisposeAsync() => await _sandbox.DisposeAsync().ConfigureAwait(false);

    /// <summary>Ends the machine, of which nothing is wanted any more: see <see cref="SandboxMachine.EndAsync"/>.</summary>
    public ValueTask EndAsync() => _sandbox.EndAsync();

    private async Task<int> EndOfAsync(string execId, IReadOnlyList<Task> outputs, IReadOnlyList<SafeFd> descriptors)
    {
        try
        {
            var exit = await Agent.WaitForExitAsync(new ProcessTarget(GuestId, execId)).ConfigureAwait(false);
            // Its last output may be on its way still. Processes it left behind may keep its streams: those are not waited for long.
            await Task.WhenAll(outputs).WaitAsync(TimeSpan.FromSeconds(3)).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
            return (int)exit.ExitCode;
        }
        catch (HullException cause) when (cause.Kind == ErrorKind.Unavailable)
        {
            return 137;
        }
        finally
        {
            foreach (var descriptor in descriptors) descriptor.Dispose();
        }
    }

    private async Task CreateContainerAsync(VmBundle bundle, Spec spec, LayerDisk? layers)
    {
        var translation = GuestSpec.Translate(spec, GuestId, bundle.Nics.Count > 0, bundle.SharedMounts);
        SafeFd[] own = [SafeFd.Borrow(0), SafeFd.Borrow(1), SafeFd.Borrow(2)];
        var (streams, outputs) = OpenStreams(_terminal is not null, own, out var feed);
        _outputs.AddRange(outputs);
        var (columns, rows) = _terminal is null ? (0, 0) : Linux.Terminals.TerminalSession.GetSize(_terminal);
        if (bundle.Adopted is not null || _sandbox.Container is not null)
        {
            await Agent.AdoptAsync(new AdoptRequest(GuestId, bundle.HostName, translation.Files, streams)).ConfigureAwait(false);
            feed();
            return;
        }

        // A disk as an image's template left it is not as the saved template has it.
        var root = new RootLayout(SandboxShape.LayersDisk, layers?.Extents ?? [], bundle.WritableDisk is null ? "" : SandboxShape.WritableDisk,
            bundle.WritableIsPrepared && bundle.Template?.Live?.Container is null);
        await Agent.CreateContainerAsync(new CreateContainerRequest(Id, GuestSpec.Serialize(translation.Spec), root,
            bundle.SharedMounts.Count == 0 ? [] : [new VolumeMount(ShareDaemon.Tag, "virtiofs", GuestSpec.SharesDirectory, ReadOnly: false)],
            translation.Files, streams, (uint)columns, (uint)rows)).ConfigureAwait(false);
        feed();
    }

    private (StreamIds Ids, IReadOnlyList<Task> Outputs) OpenStreams(bool terminal, IReadOnlyList<SafeFd> descriptors, out Action feed)
    {
        var output = Agent.OpenStream();
        List<Task> outputs = [StreamPump.DrainAsync(output, descriptors[1])];
        var error = terminal ? null : Agent.OpenStream();
        if (error is not null) outputs.Add(StreamPump.DrainAsync(error, descriptors[2]));
        var input = StreamPump.IsNull(descriptors[0]) ? null : Agent.OpenStream();
        feed = () =>
        {
            if (input is not null) StreamPump.Feed(descriptors[0], input);
        };
        return (new StreamIds(input?.Id ?? 0, output.Id, error?.Id ?? 0), outputs);
    }

    private static async Task<SandboxMachine> StartAsync(VmBundle bundle, SandboxOptions options, WarmTwin? warm)
    {
        if (warm is not null)
        {
            try
            {
                if (warm.Request.Fits(bundle)) return await warm.TakeAsync(options).ConfigureAwait(false);
                await warm.DropAsync().ConfigureAwait(false);
            }
            catch (HullException cause)
            {
                File.AppendAllText(options.LogPath!, $"hull-vm: not made of the twin that was ready: {cause.FullMessage}\n");
            }
        }

        var (guest, hypervisor) = (bundle.Guest.ToImage(), bundle.Guest.ToHypervisor());
        var shape = new SandboxShape(bundle.MemoryBytes, bundle.Processors);
        if (bundle.Template is null) return await SandboxMachine.BootAsync(hypervisor, guest, shape, options).ConfigureAwait(false);
        using var memory = MemoryFile.Open(bundle.Template.MemoryPath);
        var template = new Template(bundle.Template.Key, shape, guest, memory, bundle.Template.StatePath, bundle.Template.WritablePath,
            bundle.Adopted is not null);
        if (bundle.Template.Live is { } live && options.Shares is null)
        {
            try
            {
                return await SandboxMachine.TwinAsync(hypervisor, template, live, options).ConfigureAwait(false);
            }
            catch (HullException cause) when (!live.OfInstance)
            {
                // The template's process is gone or cannot be traced: the machine is made from its saved state.
                File.AppendAllText(options.LogPath!, $"hull-vm: no twin of {live.Process}: {cause.FullMessage}\n");
            }
        }

        return await SandboxMachine.CloneAsync(hypervisor, template, options).ConfigureAwait(false);
    }

    private static ReleaseRequest ReleaseFor(VmBundle bundle) => ReleaseRequest.Now(bundle.HostName, bundle.MachineId,
        new NetworkSetup(
            [.. bundle.Nics.Select((nic, index) => new InterfaceSetup((uint)index, nic.Name, nic.MacAddress, nic.Addresses, nic.Mtu))],
            [.. bundle.Routes.Select(route => route.ToSetup())]));

    /// <summary>
    /// The machine's cgroup has one below it for this process and one for QEMU: its limits and counters are of both, and
    /// in cgroup v2 only leaves may have processes. Memory is limited by the machine's shape, devices by its jail.
    /// </summary>
    /// <returns>
    /// The entry itself goes on meanwhile: the kernel lets every processor pass by first (an RCU grace period, 10 ms and more).
    /// </returns>
    private static (string Path, Task Entering) EnterCgroup(string id, Spec spec)
    {
        var path = spec.Linux?.CgroupsPath ?? "/hull-vm/" + id;
        var resources = (spec.Linux?.Resources ?? new ResourcesSpec()) with { Memory = null, Pids = null };
        // This process opens the tap, which a container's device rules would forbid it.
        CgroupManager.Name(id, path).Prepare(ResourceTranslation.ForCreate(resources) with { Devices = null }).Dispose();
        var own = CgroupManager.Name(id, path + "/monitor");
        own.Prepare(new CgroupLimits()).Dispose();
        return (path, Task.Run(() => own.Add(Environment.ProcessId)));
    }

    private static void ConnectTaps(VmBundle bundle, bool connected)
    {
        if (bundle.Nics.Count == 0) return;
        using var socket = new RouteSocket();
        var batch = new RouteBatch();
        foreach (var nic in bundle.Nics) batch.SetUp(socket.IndexOf(nic.Tap), connected);
        socket.Execute(batch);
    }

    private static SafeFd? OpenTap(VmBundle bundle)
    {
        if (bundle.Nics.Count == 0) return null;
        return SafeFd.Take(TapDevice.Open(bundle.Nics[0].Tap));
    }

    /// <summary>A template has one NIC; those of further networks are plugged into the clone before it runs.</summary>
    private static List<NicConfig> OpenFurtherTaps(VmBundle bundle) =>
    [
        .. bundle.Nics.Skip(1).Select((nic, index) => new NicConfig($"nic{index + 1}", nic.MacAddress, new PassedTapNic(SafeFd.Take(TapDevice.Open(nic.Tap))))),
    ];
}
