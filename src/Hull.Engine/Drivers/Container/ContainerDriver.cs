using System.Text.Json;
using Hull.Core;
using Hull.Engine.Drivers.Shims;
using Hull.Linux;
using Hull.Linux.Cgroups;
using Hull.Linux.Files;
using Hull.Linux.Mounts;
using Hull.Linux.Processes;
using Hull.Network;
using Hull.Oci.Runtime;
using Hull.Runtime.Setup;
using Hull.Shim.Protocol;

namespace Hull.Engine.Drivers.Container;

/// <summary>
/// Operating system containers: one hull-shim per instance, which makes the container with Hull's own runtime or with
/// an OCI program and stays its parent.
/// </summary>
/// <remarks>
/// A shim that is killed takes its container with it: what it supervised cannot be collected or logged by anybody else, so
/// the driver ends it through its cgroup and records exit code 137 with the reason.
/// </remarks>
public sealed class ContainerDriver : IInstanceDriver, IShimOwner
{
    private readonly EngineOptions _options;
    private readonly ShimLauncher _launcher;

    public ContainerDriver(EngineOptions options, TimeProvider? clock = null)
    {
        _options = options;
        Clock = clock ?? TimeProvider.System;
        _launcher = new ShimLauncher(options.ShimPath);
        RuntimeRoot = Path.Combine(options.ExecRoot, "runtime");
        Capabilities = new DriverCapabilities(Isolation, DescribeCapabilities());
    }

    public string Isolation => "container";

    public AttachmentKind NetworkAttachment => AttachmentKind.Namespace;

    public DriverCapabilities Capabilities { get; }

    /// <summary>Every capability of this kernel, for privileged containers.</summary>
    public static CapabilitiesSpec AllCapabilities { get; } = Security.CapabilitySets.ToSpec(Security.CapabilitySets.All);

    public TimeProvider Clock { get; }

    /// <summary>The engine ends: broken connections mean nothing any more.</summary>
    public bool Stopping { get; private set; }

    private string RuntimeRoot { get; }

    public IReadOnlyDictionary<string, string> Describe() => new Dictionary<string, string>
    {
        ["runtimes"] = string.Join(' ', new[] { RuntimeNames.BuiltIn }.Concat(_options.Runtimes.Keys).Distinct()),
        ["default-runtime"] = _options.DefaultRuntime,
        ["cgroup-version"] = ((int)CgroupManager.Version).ToString(System.Globalization.CultureInfo.InvariantCulture),
        ["cgroup-driver"] = "cgroupfs",
    };

    public IReadOnlyList<string> Validate(InstanceSpec spec)
    {
        if (FindRuntime(spec) is not null && spec.Spec.Mounts?.FirstOrDefault(mount => mount.UidMappings is not null) is { } mapped)
            throw HullException.Unsupported($"the volume at {mapped.Destination} needs its owners mapped, which runtime {spec.Isolation.Runtime ?? _options.DefaultRuntime} is not asked to do: use runtime hull, or --userns host");
        if (spec.Root.DiskImage is not null) throw HullException.Unsupported("a disk image cannot be the root of a container: use isolation vm");
        return [];
    }

    public async Task<IInstance> CreateAsync(InstanceSpec spec, CancellationToken cancellationToken)
    {
        var runtime = FindRuntime(spec);
        Directory.CreateDirectory(Path.Combine(spec.RuntimeDirectory, RootName));
        ExitRecord.Delete(spec.StateDirectory);
        var (shim, socket) = _launcher.Start(spec.RuntimeDirectory);
        ContainerInstance? instance = null;
        try
        {
            // While the shim comes up, the root and the bundle are made.
            var cgroup = ShimRemains.CgroupOf(spec);
            using var root = OpenRoot(spec.Root, spec.Spec.Linux);
            WriteBundle(spec, root.Descriptor);
            instance = new ContainerInstance(this, spec, cgroup, shim);
            instance.Connect(socket);
            // An OCI program is waited for before the next step.
            await instance.CreateAsync(MessageFor(spec, runtime, cgroup), root.Descriptor, begin: runtime is null && spec.Begin is not null, cancellationToken).ConfigureAwait(false);
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
        return await ShimReconnection.ReconnectAsync(this, new ContainerInstance(this, spec, cgroup, null), spec, cgroup, cancellationToken)
            .ConfigureAwait(false);
    }

    public async Task ReclaimAsync(string id, CancellationToken cancellationToken)
    {
        await Task.Run(() =>
        {
            foreach (var cgroup in Resources.InstanceCgroups.Find(_options.CgroupParent, id))
            {
                cgroup.Kill(9);
                cgroup.Remove();
            }

            InstanceFiles.RemoveTree(Path.Combine(RuntimeRoot, id));
            InstanceFiles.RemoveTree(Path.Combine(_options.ExecRoot, "i", id[..Math.Min(32, id.Length)]));
        }, cancellationToken).ConfigureAwait(false);
    }

    public Task<IRootAccess> OpenStoppedRootAsync(InstanceSpec spec, CancellationToken cancellationToken) =>
        Task.Run<IRootAccess>(() =>
        {
            var mount = StoppedRoot.Open(OpenRoot(spec.Root, null), spec.Spec);
            return new HeldRoot(mount.Descriptor.Duplicate(), mount);
        }, cancellationToken);

    public ISavedInstance OpenSaved(string directory) =>
        throw HullException.Unsupported(Capabilities[InstanceCapability.Snapshot].Reason ?? "containers are not saved");

    public ValueTask DisposeAsync()
    {
        Stopping = true;
        _launcher.Dispose();
        return ValueTask.CompletedTask;
    }

    public Task<ExitRecord> EndOrphanAsync(InstanceSpec spec, DateTimeOffset? startedAt) => ShimRemains.EndOrphanAsync(spec, startedAt, Clock);

    public void OnStarted() => _launcher.PrepareSoon();

    public Task TakeBackAsync(InstanceSpec spec, ChildProcess? shim) => ShimRemains.TakeBackAsync(spec, shim, RuntimeRoot);

    private const string RootName = "rootfs";

    private RuntimeOption? FindRuntime(InstanceSpec spec)
    {
        var name = spec.Isolation.Runtime ?? _options.DefaultRuntime;
        if (_options.Runtimes.TryGetValue(name, out var option)) return option;
        if (name is RuntimeNames.BuiltIn or "") return null;
        return RuntimeNames.Find(name) is { } path
            ? new RuntimeOption(path, [])
            : throw HullException.Invalid($"no runtime '{name}': configure it under runtimes, or use {RuntimeNames.BuiltIn}");
    }

    /// <summary>The root as a mount that is attached nowhere: the shim attaches it where only it and the container are.</summary>
    /// <param name="users">With the mappings of a user namespace, whose owners the root is to have; null leaves those on the disk.</param>
    private static DetachedMount OpenRoot(InstanceRoot root, LinuxSpec? users)
    {
        using var mapping = RootMapping.Open(users);
        var made = OpenFiles(root, mapping);
        return root.Images is { Count: > 0 } images ? RootImages.Attach(made, images, mapping) : made;
    }

    private static DetachedMount OpenFiles(InstanceRoot root, RootMapping? mapping)
    {
        if (root.Directory is { } directory)
        {
            using var handle = RootDirectory.Open(directory);
            var clone = DetachedMount.Clone(handle.Descriptor, recursive: true, directory);
            mapping?.Apply(clone, recursive: true);
            return clone;
        }

        if (root.Mounts is not [var mount]) throw HullException.Internal($"a root of {root.Mounts.Count} mounts is not supported by containers");
        return RootMounts.Open(mount, mapping);
    }

    private static void WriteBundle(InstanceSpec spec, SafeFd root)
    {
        using var view = RootDirectory.FromDescriptor(root.Duplicate(), "the root of " + spec.Id);
        var process = spec.Spec.Process ?? throw HullException.Internal($"{spec.Id} has no process");
        var account = Accounts.Resolve(view, spec.User, spec.AdditionalGroups);
        CheckMapped(account, spec.Spec.Linux);
        // In a user namespace its root makes it, which is the runtime's affair.
        if (!spec.Root.ReadOnly && spec.Spec.Linux?.UidMappings is null) MakeWorkingDirectory(view, process.Cwd ?? "/", account);
        var final = spec.Spec with
        {
            Root = new RootSpec { Path = RootName, Readonly = spec.Root.ReadOnly },
            Process = process with
            {
                User = account.ToSpec(process.User?.Umask),
                Env = Accounts.WithHome(process.Env ?? [], account.Home),
                Capabilities = Accounts.CapabilitiesFor(process.Capabilities, account.User),
            },
        };
        AtomicFile.Write(Path.Combine(spec.RuntimeDirectory, "config.json"),
            JsonSerializer.SerializeToUtf8Bytes(final, RuntimeJson.Default.Spec), durable: false);
    }

    private static void CheckMapped(Account account, LinuxSpec? linux)
    {
        if (linux?.UidMappings is null) return;
        if (UserNamespaces.ToHost(linux.UidMappings, account.User) is null)
            throw HullException.Invalid($"the container's user namespace has no user {account.User}: use another user, or --userns auto:size={account.User + 1}");
        if (account.Groups.Append(account.Group).Where(group => UserNamespaces.ToHost(linux.GidMappings, group) is null).Cast<uint?>().FirstOrDefault() is { } missing)
            throw HullException.Invalid($"the container's user namespace has no group {missing}: use another group, or --userns auto:size={missing + 1}");
    }

    /// <summary>As with Docker, a working directory that is missing is made.</summary>
    private static void MakeWorkingDirectory(RootDirectory root, string path, Account account)
    {
        if (path == "/" || root.Exists(path)) return;
        root.MkdirAll(path).Dispose();
    }

    private CreateMessage MessageFor(InstanceSpec spec, RuntimeOption? runtime, ICgroup cgroup) => new()
    {
        Id = spec.Id,
        Bundle = spec.RuntimeDirectory,
        StateDirectory = spec.StateDirectory,
        Runtime = runtime?.Path ?? "",
        RuntimeArguments = runtime is null ? [] : [.. runtime.Arguments],
        RuntimeRoot = RuntimeRoot,
        Terminal = spec.Stdio.Terminal,
        OpenInput = spec.Stdio.OpenInput,
        InputOnce = spec.Stdio.InputOnce,
        Columns = spec.Stdio.Columns,
        Rows = spec.Stdio.Rows,
        Log = InstanceFiles.ToMessage(spec.Log),
        OomFile = cgroup.Version == CgroupVersion.V2
            ? Path.Combine(cgroup.Paths[""], "memory.events")
            : cgroup.Paths.TryGetValue("memory", out var memory) ? Path.Combine(memory, "memory.oom_control") : "",
    };

    private static Dictionary<InstanceCapability, CapabilityStatus> DescribeCapabilities()
    {
        var all = new Dictionary<InstanceCapability, CapabilityStatus>();
        foreach (var capability in Enum.GetValues<InstanceCapability>()) all[capability] = CapabilityStatus.Yes;
        all[InstanceCapability.Snapshot] = CapabilityStatus.No("a container's memory cannot be saved; commit saves its files");
        all[InstanceCapability.Fork] = CapabilityStatus.No("a container's memory cannot be duplicated; use isolation vm");
        all[InstanceCapability.Console] = CapabilityStatus.No("a container has no screen; use its terminal");
        return all;
    }
}
