using System.Globalization;
using System.Security.Cryptography;
using System.Text;
using System.Text.Json;
using Hull.Core;
using Hull.Engine.Drivers.Container;
using Hull.Engine.Drivers.Shims;
using Hull.Engine.Resources;
using Hull.Hypervisor.Disks;
using Hull.Hypervisor.Monitor;
using Hull.Hypervisor.Sandboxes;
using Hull.Hypervisor.Templates;
using Hull.Linux;
using Hull.Linux.Cgroups;
using Hull.Linux.Children;
using Hull.Linux.Files;
using Hull.Linux.Processes;
using Hull.Network;
using Hull.Oci.Runtime;
using Hull.Shim.Protocol;

namespace Hull.Engine.Drivers.Vm;

/// <summary>
/// Virtual machines for OCI images: one hull-shim per instance, which runs the program hull-vm as it would run any OCI
/// runtime, so that supervision, logs and attachments are those of containers.
/// </summary>
/// <remarks>
/// A machine begins as a clone of a template that this driver keeps; its layers are the snapshot's layer files as one
/// read-only disk, and what it writes goes to a disk image in the workload's state directory.
/// Options: <c>vm.memory</c> in MiB, <c>vm.cpus</c>, <c>vm.disk</c> in GiB for what is written.
/// </remarks>
public sealed class VmDriver : IInstanceDriver, IShimOwner
{
    private readonly EngineOptions _options;
    private readonly ShimLauncher _launcher;
    private readonly VmPlatform _platform;
    private readonly WarmMachines _warm;
    private readonly SpareMemory _memory;

    /// <param name="pressure">How the machine is off for memory; null asks its kernel.</param>
    public VmDriver(EngineOptions options, TimeProvider? clock = null, IMemoryPressureSource? pressure = null)
    {
        _options = options;
        Clock = clock ?? TimeProvider.System;
        _launcher = new ShimLauncher(options.ShimPath);
        var state = Path.Combine(options.DataRoot, "vm");
        var live = options.LiveTemplates
            ? new LiveTemplates(Beside("hull-vm"), LiveTemplates.DirectoryIn(options.ExecRoot), options.CgroupParent, Path.Combine(state, "templates")) : null;
        RuntimeRoot = Path.Combine(options.ExecRoot, "vm");
        _memory = new SpareMemory(options.Resources.Reclaim, pressure ?? new HostMemoryPressure(), ReleaseIdle);
        _warm = new WarmMachines(_launcher, Beside("hull-vm"), Path.Combine(options.ExecRoot, "vm-warm"), options.WarmMachines, _memory);
        var images = live is null || options.ImageTemplates == 0 ? null : new ImageTemplates(live, options.ImageTemplates, _memory, _warm.Drop, Clock);
        _platform = new VmPlatform(state, Beside("hull-agent"), live, images, _warm.Drop, Clock);
        Capabilities = new DriverCapabilities(Isolation, DescribeCapabilities());
    }

    public string Isolation => "vm";

    public AttachmentKind NetworkAttachment => AttachmentKind.Tap;

    public DriverCapabilities Capabilities { get; }

    public TimeProvider Clock { get; }

    public bool Stopping { get; private set; }

    private string RuntimeRoot { get; }

    public IReadOnlyDictionary<string, string> Describe()
    {
        var facts = DescribePlatform();
        if (_platform.Preparing is { } what) facts["preparing"] = what;
        return facts;
    }

    private Dictionary<string, string> DescribePlatform()
    {
        if (_platform.Hypervisor is not { } hypervisor) return new Dictionary<string, string> { ["hypervisor"] = "qemu, not used yet" };
        return new Dictionary<string, string>
        {
            ["hypervisor"] = hypervisor.Capabilities.Name,
            ["accelerator"] = hypervisor.Capabilities.Accelerator,
            ["accelerator-reason"] = hypervisor.Capabilities.AcceleratorReason,
            ["live-templates"] = _platform.LiveTemplates?.ToString(CultureInfo.InvariantCulture) ?? "off",
            ["image-templates"] = _platform.ImageTemplates?.ToString(CultureInfo.InvariantCulture) ?? "off",
            ["warm-machines"] = _warm.Size == 0 ? "off" : string.Create(CultureInfo.InvariantCulture, $"{_warm.Ready} ready, {_warm.Taken} taken"),
        };
    }

    /// <summary>Whether machines were made from this data root before.</summary>
    public bool WasUsed => _platform.WasUsed;

    /// <summary>
    /// Makes ready what machines of the default shape begin from, and answers when it is. An engine has this done in the
    /// background as soon as it starts where it ran machines before: its template may be out of date.
    /// </summary>
    public Task PrepareAsync(CancellationToken cancellationToken) => _platform.WaitForLiveAsync(SandboxShape.Default, cancellationToken);

    public IReadOnlyList<string> Validate(InstanceSpec spec)
    {
        _ = ShapeOf(spec);
        if (spec.Network.Host) throw HullException.Unsupported($"network mode host: {Capabilities[InstanceCapability.HostNetwork].Reason}");
        if (spec.Joins.Count > 0) throw HullException.Unsupported($"joining namespaces: {Capabilities[InstanceCapability.SharedNamespaces].Reason}");
        if (spec.Root.Images is [var image, ..])
            throw HullException.Unsupported($"an image cannot be mounted at {image.Target} of isolation vm: its disks are those of its own image; use isolation container, or copy the files into a volume");
        if (spec.Root.DiskImage is null && spec.Root.LayerFiles.Count == 0 && spec.Root.Mounts.Count > 0)
            throw HullException.Unsupported("isolation vm needs layers as erofs files, which the image store of this engine does not keep");
        return [];
    }

    public async Task<IInstance> CreateAsync(InstanceSpec spec, CancellationToken cancellationToken) =>
        await CreateAsync(spec, spec.StateDirectory, cancellationToken).ConfigureAwait(false);

    /// <param name="disks">Directory with the disk for what is written.</param>
    private async Task<VmInstance> CreateAsync(InstanceSpec spec, string disks, CancellationToken cancellationToken)
    {
        Validate(spec);
        var (guest, template) = await _platform.PrepareAsync(ShapeOf(spec), spec.Tenant, cancellationToken).ConfigureAwait(false);
        if (spec.Saved is VmSaved saved) RequireFits(saved, guest);
        Directory.CreateDirectory(spec.RuntimeDirectory);
        ExitRecord.Delete(spec.StateDirectory);
        var final = WithAccount(spec);
        if (BeginsAsOthers(spec, disks, final)) template = _platform.FindImage(guest, template, ShapeOf(spec), () => FormOf(spec, final)) ?? template;
        var warm = spec.Saved is null && SharedMounts(spec).Count == 0 ? _warm.Take(guest, template, ShapeOf(spec), spec.RuntimeDirectory.Length) : null;
        var (shim, socket) = warm is null ? _launcher.Start(spec.RuntimeDirectory) : (warm.Shim, warm.Socket);
        VmInstance? instance = null;
        try
        {
            WriteBundle(spec, final, guest, template, disks);
            instance = new VmInstance(this, spec, ShimRemains.CgroupOf(spec), shim);
            instance.Connect(socket);
            await instance.CreateAsync(MessageFor(spec), null, begin: spec.Begin is not null, cancellationToken).ConfigureAwait(false);
            return instance;
        }
        catch
        {
            // Before the connection goes: what the shim says of its death is no instance's end.
            await TakeBackAsync(spec, shim).ConfigureAwait(false);
            if (instance is null) socket.Dispose();
            else await instance.DisposeAsync().ConfigureAwait(false);
            shim.Dispose();
            throw;
        }
    }

    public async Task<IInstance?> ReconnectAsync(InstanceSpec spec, CancellationToken cancellationToken)
    {
        var cgroup = ShimRemains.CgroupOf(spec);
        var instance = new VmInstance(this, spec, cgroup, null);
        return await ShimReconnection.ReconnectAsync(this, instance, spec, cgroup, cancellationToken).ConfigureAwait(false);
    }

    public Task ReclaimAsync(string id, CancellationToken cancellationToken) => Task.Run(() =>
    {
        foreach (var cgroup in InstanceCgroups.Find(_options.CgroupParent, id))
        {
            cgroup.Kill(9);
            cgroup.Remove();
        }

        InstanceFiles.RemoveTree(Path.Combine(RuntimeRoot, id));
    }, cancellationToken);

    /// <summary>Makes a machine of the workload's disk in which nothing of its own is started, and ends it with the answer.</summary>
    public async Task<IRootAccess> OpenStoppedRootAsync(InstanceSpec spec, CancellationToken cancellationToken)
    {
        var id = Convert.ToHexStringLower(SHA256.HashData(Encoding.ASCII.GetBytes(spec.Id + " root")));
        var directory = Path.Combine(_options.ExecRoot, "r", id[..32]);
        var linux = spec.Spec.Linux ?? new LinuxSpec();
        Directory.CreateDirectory(directory);
        // A program that is there and cannot run: the machine is used before it would start.
        AtomicFile.Write(Path.Combine(directory, "nothing"), "#!/nothing\n"u8, 0x1ED, durable: false);
        var machine = await CreateAsync(spec with
        {
            Id = id,
            RuntimeDirectory = directory,
            StateDirectory = directory,
            User = "",
            AdditionalGroups = [],
            Stdio = new StdioSpec(),
            Log = new LogSpec { Driver = "none" },
            Network = new InstanceNetworking(),
            Spec = spec.Spec with
            {
                Process = new ProcessSpec { Args = ["/dev/nothing"], Cwd = "/", User = new UserSpec() },
                Mounts =
                [
                    .. spec.Spec.Mounts ?? [],
                    new MountSpec { Destination = "/dev/nothing", Type = "bind", Source = Path.Combine(directory, "nothing"), Options = ["bind", "ro"] },
                ],
                Linux = linux with { CgroupsPath = $"{_options.CgroupParent}/{id}" },
            },
        }, spec.StateDirectory, cancellationToken).ConfigureAwait(false);
        return new VmRoot(ControlOf(machine.Spec), new MachineForFiles(machine));
    }

    public void ReleaseIdle()
    {
        _warm.Drop();
        _platform.ReleaseIdle();
    }

    public ISavedInstance OpenSaved(string directory) => VmSaved.Open(directory);

    internal VmControl ControlOf(InstanceSpec spec) => new(Path.Combine(RuntimeRoot, spec.Id));

    public async ValueTask DisposeAsync()
    {
        Stopping = true;
        _memory.Dispose();
        _warm.Dispose();
        _launcher.Dispose();
        await _platform.DisposeAsync().ConfigureAwait(false);
    }

    public void OnStarted() => _launcher.PrepareSoon();

    public Task<ExitRecord> EndOrphanAsync(InstanceSpec spec, DateTimeOffset? startedAt) => ShimRemains.EndOrphanAsync(spec, startedAt, Clock);

    public Task TakeBackAsync(InstanceSpec spec, ChildProcess? shim) => ShimRemains.TakeBackAsync(spec, shim, RuntimeRoot);

    /// <summary>Looks a user up in the image's layers, mounted where nobody else sees them.</summary>
    internal static Account ResolveAccount(InstanceSpec spec, string user)
    {
        if (spec.Root.Mounts is not [var mount]) return new Account(0, 0, [], "/root");
        using var root = RootMounts.Open(mount);
        using var view = RootDirectory.FromDescriptor(root.Descriptor.Duplicate(), "the root of " + spec.Id);
        return Accounts.Resolve(view, user, spec.AdditionalGroups);
    }

    /// <summary>The OCI spec with the user that the image knows by that name.</summary>
    private static Spec WithAccount(InstanceSpec spec)
    {
        var process = spec.Spec.Process ?? throw HullException.Internal($"{spec.Id} has no process");
        var account = ResolveAccount(spec, spec.User);
        return spec.Spec with
        {
            Root = new RootSpec { Path = "rootfs", Readonly = spec.Root.ReadOnly },
            Process = process with
            {
                User = account.ToSpec(process.User?.Umask),
                Env = Accounts.WithHome(process.Env ?? [], account.Home),
                Capabilities = Accounts.CapabilitiesFor(process.Capabilities, account.User),
            },
        };
    }

    /// <summary>Whether an instance is, before its program runs, as any other of its image: with a disk on which nothing is written and no files of the host.</summary>
    private static bool BeginsAsOthers(InstanceSpec spec, string disks, Spec final) =>
        spec.Saved is null && SharedMounts(spec).Count == 0 && IsFresh(spec, WritableIn(disks)) &&
        DeferredProgram.Fits(final.Process?.Args ?? [], final.Process?.Env ?? []);

    private static ImageForm FormOf(InstanceSpec spec, Spec final) =>
        ImageForm.Of(final, spec.Root.LayerFiles, spec.Stdio.OpenInput, spec.Network.Endpoints.Count > 0);

    private static string WritableIn(string disks) => Path.Combine(disks, "writable.img");

    /// <summary>A disk that a machine has used is no longer the one the template has mounted, even if that machine never came to run.</summary>
    private static bool IsFresh(InstanceSpec spec, string writable) => DiskBytesOf(spec) == WritableDisk.DefaultBytes && !File.Exists(writable);

    private void WriteBundle(InstanceSpec spec, Spec final, GuestSource guest, TemplateSource template, string disks)
    {
        var shape = ShapeOf(spec);
        var writable = WritableIn(disks);
        var saved = spec.Saved as VmSaved;
        if (saved is { IsForOne: true }) File.Move(saved.WritablePath, writable, overwrite: true);
        else if (saved is not null) SparseFile.Copy(saved.WritablePath, writable);
        var isPrepared = IsFresh(spec, writable);
        _platform.Disks.Create(writable, DiskBytesOf(spec), isPrepared ? template.WritablePath : null);
        AtomicFile.Write(Path.Combine(spec.RuntimeDirectory, "config.json"),
            JsonSerializer.SerializeToUtf8Bytes(final, RuntimeJson.Default.Spec), durable: false);
        var bundle = new VmBundle
        {
            HostName = spec.Spec.Hostname ?? RandomId.Short(spec.Id),
            MachineId = spec.Id[..32],
            MemoryBytes = saved?.Record.MemoryBytes ?? shape.MemoryBytes,
            Processors = saved?.Record.Processors ?? shape.Processors,
            Guest = saved?.Record.Guest ?? guest,
            Template = saved is null ? template : new TemplateSource("", PathOf(saved.Memory), saved.StatePath, saved.WritablePath, saved.Live),
            Adopted = saved?.Record.Container,
            Begins = spec.Begin is not null,
            Layers = spec.Root.LayerFiles,
            WritableDisk = writable,
            WritableIsPrepared = isPrepared,
            SharedMounts = SharedMounts(spec),
            Nics = [.. spec.Network.Endpoints.Select(ToNic)],
            Routes = [.. spec.Network.Endpoints.SelectMany(ToRoutes)],
        };
        AtomicFile.Write(Path.Combine(spec.RuntimeDirectory, VmBundle.FileName),
            JsonSerializer.SerializeToUtf8Bytes(bundle, VmBundleJson.Default.VmBundle), durable: false);
    }

    private static string PathOf(MemoryFile memory) => $"/proc/{Environment.ProcessId}/fd/{memory.Descriptor.Value}";

    private static void RequireFits(VmSaved saved, GuestSource guest)
    {
        if (saved.Record.Guest.QemuBuild != guest.QemuBuild || saved.Record.Guest.Accelerator != guest.Accelerator || !File.Exists(saved.Record.Guest.Kernel))
            throw HullException.Conflict($"what was saved in {saved.Directory} belongs to another QEMU, accelerator or guest image than this engine has now");
    }

    /// <summary>
    /// Binds and volumes are shared with the host; the files that the engine itself makes for a workload are given by copy, so
    /// that a machine without others can be duplicated.
    /// </summary>
    private static List<string> SharedMounts(InstanceSpec spec) =>
    [
        .. (spec.Spec.Mounts ?? []).Where(mount => mount.Type == "bind" && mount.Source is { } source &&
            Path.GetDirectoryName(source) != spec.StateDirectory && Path.GetDirectoryName(source) != spec.RuntimeDirectory).Select(mount => mount.Destination ?? ""),
    ];

    private static VmNic ToNic(Endpoint endpoint)
    {
        var addresses = new List<string>();
        if (endpoint.IPv4Address is { } four) addresses.Add(string.Create(CultureInfo.InvariantCulture, $"{four}/{endpoint.IPv4PrefixLength}"));
        if (endpoint.IPv6Address is { } six) addresses.Add(string.Create(CultureInfo.InvariantCulture, $"{six}/{endpoint.IPv6PrefixLength}"));
        return new VmNic(endpoint.HostInterface ?? throw HullException.Internal($"the endpoint on {endpoint.NetworkName} has no tap"),
            endpoint.InterfaceName, endpoint.MacAddress, addresses, (uint)endpoint.Mtu);
    }

    private static IEnumerable<VmRoute> ToRoutes(Endpoint endpoint)
    {
        if (!endpoint.DefaultRoute) yield break;
        if (endpoint.IPv4Gateway is { } four) yield return new VmRoute(endpoint.InterfaceName, "0.0.0.0/0", four.ToString());
        if (endpoint.IPv6Gateway is { } six) yield return new VmRoute(endpoint.InterfaceName, "::/0", six.ToString());
    }

    public long FixedMemoryOf(ResourceLimits resources, IsolationOptions isolation) => ShapeOf(resources, isolation).MemoryBytes;

    internal static SandboxShape ShapeOf(InstanceSpec spec) => ShapeOf(spec.Resources, spec.Isolation);

    private static SandboxShape ShapeOf(ResourceLimits resources, IsolationOptions isolation)
    {
        var memory = NumberOption(isolation, "vm.memory") is { } mebibytes ? mebibytes << 20
            : resources.Memory is > 0 and var limit ? limit : (long?)null;
        var processors = NumberOption(isolation, "vm.cpus")
            ?? (resources.NanoCpus is > 0 and var nano ? (nano + 999_999_999) / 1_000_000_000 : null);
        if (memory is > 1L << 42) throw HullException.Invalid($"a virtual machine cannot have {memory} bytes of memory");
        if (processors is < 1 or > 255) throw HullException.Invalid($"a virtual machine cannot have {processors} processors");
        return SandboxShape.For(memory, (int?)processors);
    }

    private static long DiskBytesOf(InstanceSpec spec) =>
        NumberOption(spec.Isolation, "vm.disk") is { } gibibytes ? gibibytes << 30 : WritableDisk.DefaultBytes;

    private static long? NumberOption(IsolationOptions isolation, string name)
    {
        if (!isolation.Options.TryGetValue(name, out var text) || text.Length == 0) return null;
        return long.TryParse(text, CultureInfo.InvariantCulture, out var number) && number is > 0 and < 1 << 24
            ? number
            : throw HullException.Invalid($"option {name} is '{text}': expected a positive number");
    }

    private string Beside(string program) => Path.Combine(Path.GetDirectoryName(_launcher.Program) ?? "/", program);

    private CreateMessage MessageFor(InstanceSpec spec) => new()
    {
        Id = spec.Id,
        Bundle = spec.RuntimeDirectory,
        StateDirectory = spec.StateDirectory,
        Runtime = Beside("hull-vm"),
        RuntimeRoot = RuntimeRoot,
        Terminal = spec.Stdio.Terminal,
        OpenInput = spec.Stdio.OpenInput,
        InputOnce = spec.Stdio.InputOnce,
        Columns = spec.Stdio.Columns,
        Rows = spec.Stdio.Rows,
        OomFile = Path.Combine(spec.RuntimeDirectory, VmBundle.MemoryEventsName),
        CgroupsPath = spec.Spec.Linux?.CgroupsPath ?? throw HullException.Internal($"{spec.Id} has no cgroup"),
        Log = InstanceFiles.ToMessage(spec.Log),
    };

    private static Dictionary<InstanceCapability, CapabilityStatus> DescribeCapabilities()
    {
        var all = new Dictionary<InstanceCapability, CapabilityStatus>();
        foreach (var capability in Enum.GetValues<InstanceCapability>()) all[capability] = CapabilityStatus.Yes;
        foreach (var (capability, reason) in (ReadOnlySpan<(InstanceCapability, string)>)
        [
            (InstanceCapability.SharedNetwork, "the network of a virtual machine is inside it"),
            (InstanceCapability.SharedNamespaces, "a virtual machine shares no namespaces with others"),
            (InstanceCapability.HostNetwork, "a virtual machine cannot use the network of the host itself"),
            (InstanceCapability.NetworkHotPlug, "networks of a virtual machine are attached when it is started"),
            (InstanceCapability.Devices, "devices of the host are not passed through"),
            (InstanceCapability.UserNamespaces, "a virtual machine has its own users"),
            (InstanceCapability.HotAdd, "memory can be added to a running machine, processors cannot"),
            (InstanceCapability.Console, "a virtual machine that runs an image has no screen; use its terminal"),
        ]) all[capability] = CapabilityStatus.No(reason);
        return all;
    }

    private sealed class MachineForFiles(VmInstance machine) : IAsyncDisposable
    {
        public async ValueTask DisposeAsync()
        {
            await machine.DeleteAsync(CancellationToken.None).ConfigureAwait(false);
            await machine.DisposeAsync().ConfigureAwait(false);
        }
    }
}
