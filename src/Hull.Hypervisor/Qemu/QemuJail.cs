using Hull.Linux;
using Hull.Linux.Files;
using Hull.Linux.Processes;
using Hull.Oci.Runtime;
using Hull.Runtime;

namespace Hull.Hypervisor.Qemu;

/// <summary>
/// The jail of a monitor process, made by the same runtime that makes containers: a root with nothing but the system's
/// read-only libraries and the files named here, a user of its own without any capability, and namespaces of its own,
/// the network among them empty. All else it works with are descriptors it is given. A guest that takes its monitor over
/// finds nobody else's files, no network and no engine.
/// </summary>
/// <param name="Directory">A directory for the jail's root and state; it goes with the instance.</param>
/// <param name="CgroupsPath">Cgroup of the monitor, as the OCI runtime-spec writes it.</param>
/// <param name="UserId">User and group of the monitor; no other process of this machine has it.</param>
/// <param name="ReadOnlyFiles">Files it may read, at the same paths; they must be readable for others.</param>
/// <param name="IsOriginal">
/// Twins are made of the monitor, for which it needs privileges that they then drop, and must not be the first process of a
/// namespace, with which theirs would end. Such a monitor only runs what is Hull's own, on file systems that Hull has written.
/// </param>
public sealed record QemuJail(string Directory, string CgroupsPath, uint UserId, IReadOnlyList<string> ReadOnlyFiles, bool IsOriginal = false)
{
    /// <summary>
    /// A directory in which the monitor makes its sockets, at the same path; null for none. It is the monitor's only until
    /// <see cref="Close"/>: what a guest takes over later can put nothing else in their place.
    /// </summary>
    public string? SocketDirectory { get; init; }

    /// <summary>Files and directories it may write, at the same paths; the user must have the right to.</summary>
    public IReadOnlyList<string> WritablePaths { get; init; } = [];

    /// <summary>What it has of root's capabilities.</summary>
    public IReadOnlyList<string> Capabilities { get; init; } = [];

    /// <summary>Bytes of address space that it can have, RLIMIT_AS of getrlimit(2); null for no bound.</summary>
    public long? AddressSpace { get; init; }

    /// <summary>Who is not root keeps capabilities over execve(2) only where they are ambient.</summary>
    private CapabilitiesSpec? CapabilitySets => Capabilities.Count == 0 ? null : new CapabilitiesSpec
    {
        Bounding = Capabilities, Effective = Capabilities, Permitted = Capabilities,
        Inheritable = IsRoot ? null : Capabilities, Ambient = IsRoot ? null : Capabilities,
    };

    private bool IsRoot => IsOriginal || UserId == 0;

    private const uint FirstUser = 1_900_000_000;

    /// <summary>More threads than any monitor has: one for each processor and 64 for its disks.</summary>
    internal const int MaximumThreads = 1024;

    /// <summary>For namespaces and descriptors of another process, and for becoming another user.</summary>
    internal static readonly IReadOnlyList<string> TwinMaking = ["CAP_SYS_ADMIN", "CAP_SYS_PTRACE", "CAP_SETUID", "CAP_SETGID", "CAP_SETPCAP"];

    private string ContainerId => "vmm-" + Path.GetFileName(Directory.TrimEnd('/'));

    private ContainerRuntime Runtime => new(new RuntimeOptions { Root = Path.Combine(Directory, "state") });

    /// <summary>A user id for a machine, from its id: far from those of people, services and containers.</summary>
    public static uint UserFor(string machineId) =>
        FirstUser + Disks.Crc32.Of(System.Text.Encoding.UTF8.GetBytes(machineId)) % 100_000_000;

    /// <summary>Starts a program in the jail with the given descriptors as 3, 4, …</summary>
    /// <param name="log">Takes what it prints; null discards that.</param>
    /// <param name="errors">Takes its error stream; null is <paramref name="log"/>.</param>
    public ChildProcess Start(string program, IReadOnlyList<string> arguments, SafeFd? log, IReadOnlyList<SafeFd> descriptors, bool kvm, SafeFd? errors = null)
    {
        PrepareRoot();
        using var nothing = Check.Descriptor(
            Linux.Syscalls.FileCalls.OpenAt(Linux.Abi.Fcntl.AT_FDCWD, "/dev/null", Linux.Abi.Fcntl.O_RDWR), $"open /dev/null");
        var process = Runtime.Run(ContainerId, new CreateOptions
        {
            Bundle = Directory,
            Spec = SpecFor(program, arguments, kvm),
            Streams = new StandardStreams(nothing, log ?? nothing, errors ?? log ?? nothing),
            ExtraDescriptors = descriptors,
        });
        return ChildProcess.Adopt(process.Pid, process.Pidfd, program);
    }

    /// <summary>
    /// Takes the directory of sockets away from the monitor, before any guest has run in it. Should a disk alone have been
    /// enough to take the monitor over, what it put there in place of a socket is refused.
    /// </summary>
    public void Close()
    {
        if (SocketDirectory is not { } path) return;
        SetOwner(path, 0);
        using var directory = RootDirectory.Open(path, RootScope.Beneath);
        foreach (var entry in directory.List().Where(entry => directory.Stat(entry.Name).Kind != FileKind.Socket))
            throw new HullException(ErrorKind.PermissionDenied, $"the monitor made '{entry.Name}' in {path}, which is no socket");
    }

    /// <summary>Ends what still runs in the jail and takes its cgroup and its files back. Idempotent.</summary>
    public void Remove()
    {
        if (!System.IO.Directory.Exists(Directory)) return;
        Runtime.Delete(ContainerId, force: true);
        System.IO.Directory.Delete(Directory, recursive: true);
    }

    /// <summary>Gives a directory, and the files in it, to a user.</summary>
    public static void SetOwner(string path, uint user)
    {
        using var directory = RootDirectory.Open(path, RootScope.Beneath);
        DescriptorMetadata.SetOwner(directory.Descriptor, user, user, path);
        foreach (var entry in directory.List())
        {
            // A link, if one is there, and not what it points to.
            using var file = directory.OpenPath(entry.Name, follow: false);
            DescriptorMetadata.SetOwner(file, user, user, entry.Name);
        }
    }

    private void PrepareRoot()
    {
        if (SocketDirectory is { } sockets) SetOwner(sockets, UserId);
        var root = Path.Combine(Directory, "root");
        foreach (var name in (string[])["usr", "proc", "dev", "tmp"]) System.IO.Directory.CreateDirectory(Path.Combine(root, name));
        // As merged-usr systems have it: the program interpreter is found by its old path.
        foreach (var name in (string[])["bin", "lib", "lib64", "sbin"])
        {
            var link = Path.Combine(root, name);
            if (!Path.Exists(link)) File.CreateSymbolicLink(link, "usr/" + name);
        }
    }

    private Spec SpecFor(string program, IReadOnlyList<string> arguments, bool kvm)
    {
        List<MountSpec> mounts =
        [
            new() { Destination = "/proc", Type = "proc", Source = "proc", Options = ["nosuid", "nodev", "noexec"] },
            new() { Destination = "/dev", Type = "tmpfs", Source = "tmpfs", Options = ["nosuid", "noexec", "mode=755", "size=64k"] },
            new() { Destination = "/usr", Type = "bind", Source = "/usr", Options = ["bind", "ro", "nosuid", "nodev"] },
        ];
        if (!program.StartsWith("/usr/", StringComparison.Ordinal))
            mounts.Add(new MountSpec { Destination = program, Type = "bind", Source = program, Options = ["bind", "ro", "nosuid", "nodev"] });
        foreach (var file in ReadOnlyFiles)
            mounts.Add(new MountSpec { Destination = file, Type = "bind", Source = file, Options = ["bind", "ro", "nosuid", "nodev", "noexec"] });
        foreach (var path in (string[])[.. WritablePaths, .. SocketDirectory is { } directory ? [directory] : Array.Empty<string>()])
            mounts.Add(new MountSpec { Destination = path, Type = "bind", Source = path, Options = ["bind", "nosuid", "nodev", "noexec"] });
        return new Spec
        {
            OciVersion = "1.2.0",
            Root = new RootSpec { Path = "root", Readonly = true },
            Hostname = "vmm",
            Process = new ProcessSpec
            {
                Args = [program, .. arguments],
                Cwd = "/",
                // With a bound of the address space, what is set aside for the heaps of threads would count without being used.
                Env = AddressSpace is null ? ["PATH=/usr/bin"] : ["PATH=/usr/bin", "MALLOC_ARENA_MAX=1"],
                User = IsOriginal ? new UserSpec() : new UserSpec { Uid = UserId, Gid = UserId },
                NoNewPrivileges = true,
                Capabilities = CapabilitySets,
                Rlimits = [new RlimitSpec { Type = "RLIMIT_CORE", Soft = 0, Hard = 0 }, .. AddressSpace is { } bytes ? [new RlimitSpec { Type = "RLIMIT_AS", Soft = (ulong)bytes, Hard = (ulong)bytes }] : Array.Empty<RlimitSpec>()],
            },
            Mounts = mounts,
            Linux = new LinuxSpec
            {
                CgroupsPath = CgroupsPath,
                Resources = new ResourcesSpec { Pids = new PidsSpec { Limit = MaximumThreads } },
                Namespaces = [.. ((string[])["pid", "mount", "ipc", "uts", "network"]).Where(type => !IsOriginal || type != "pid").Select(type => new NamespaceSpec { Type = type })],
                Devices = kvm ? [new DeviceSpec { Path = "/dev/kvm", Type = "c", Major = 10, Minor = 232, FileMode = 0x180, Uid = UserId, Gid = UserId }] : null,
                MaskedPaths = ["/proc/kcore", "/proc/keys", "/proc/timer_list", "/proc/acpi", "/sys/firmware"],
                ReadonlyPaths = ["/proc/sys", "/proc/sysrq-trigger", "/proc/irq", "/proc/bus"],
            },
        };
    }
}
