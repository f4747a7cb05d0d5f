using Hull.Linux.Cgroups;
using Hull.Oci.Runtime;

namespace Hull.Runtime.Specs;

/// <summary>The configuration that <c>spec</c> writes: a shell in namespaces of its own, all but a user's and, with cgroup v1, the cgroups'.</summary>
public static class DefaultSpec
{
    private static readonly string[] s_capabilities = ["CAP_AUDIT_WRITE", "CAP_KILL", "CAP_NET_BIND_SERVICE"];

    public static Spec Create() => new()
    {
        OciVersion = "1.2.0",
        Process = new ProcessSpec
        {
            Terminal = true,
            User = new UserSpec(),
            Args = ["sh"],
            Env = ["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "TERM=xterm"],
            Cwd = "/",
            Capabilities = new CapabilitiesSpec { Bounding = s_capabilities, Effective = s_capabilities, Permitted = s_capabilities },
            Rlimits = [new RlimitSpec { Type = "RLIMIT_NOFILE", Hard = 1024, Soft = 1024 }],
            NoNewPrivileges = true,
        },
        Root = new RootSpec { Path = "rootfs", Readonly = true },
        Hostname = "hull",
        Mounts =
        [
            new MountSpec { Destination = "/proc", Type = "proc", Source = "proc" },
            new MountSpec { Destination = "/dev", Type = "tmpfs", Source = "tmpfs", Options = ["nosuid", "strictatime", "mode=755", "size=65536k"] },
            new MountSpec { Destination = "/dev/pts", Type = "devpts", Source = "devpts", Options = ["nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620", "gid=5"] },
            new MountSpec { Destination = "/dev/shm", Type = "tmpfs", Source = "shm", Options = ["nosuid", "noexec", "nodev", "mode=1777", "size=65536k"] },
            new MountSpec { Destination = "/dev/mqueue", Type = "mqueue", Source = "mqueue", Options = ["nosuid", "noexec", "nodev"] },
            new MountSpec { Destination = "/sys", Type = "sysfs", Source = "sysfs", Options = ["nosuid", "noexec", "nodev", "ro"] },
            new MountSpec { Destination = "/sys/fs/cgroup", Type = "cgroup", Source = "cgroup", Options = ["nosuid", "noexec", "nodev", "relatime", "ro"] },
        ],
        Linux = new LinuxSpec
        {
            Resources = new ResourcesSpec { Devices = [new DeviceCgroupSpec { Allow = false, Access = "rwm" }] },
            Namespaces =
            [
                new NamespaceSpec { Type = "pid" }, new NamespaceSpec { Type = "network" }, new NamespaceSpec { Type = "ipc" },
                new NamespaceSpec { Type = "uts" }, new NamespaceSpec { Type = "mount" },
                // As runc has it: with cgroup v1 a container sees the host's names.
                .. CgroupManager.Version == CgroupVersion.V2 ? [new NamespaceSpec { Type = "cgroup" }] : Array.Empty<NamespaceSpec>(),
            ],
            MaskedPaths =
            [
                "/proc/acpi", "/proc/asound", "/proc/kcore", "/proc/keys", "/proc/latency_stats", "/proc/timer_list", "/proc/timer_stats",
                "/proc/sched_debug", "/sys/firmware", "/proc/scsi",
            ],
            ReadonlyPaths = ["/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"],
        },
    };

    /// <summary>The same for an ordinary user: a user namespace, the host's network, no cgroup limits, the host's /sys.</summary>
    public static Spec CreateRootless(uint user, uint group)
    {
        var spec = Create();
        return spec with
        {
            Mounts =
            [
                .. spec.Mounts!.Where(mount => mount.Destination is not ("/sys" or "/sys/fs/cgroup")).Select(mount => mount.Destination == "/dev/pts"
                    ? mount with { Options = [.. mount.Options!.Where(option => option != "gid=5")] }
                    : mount),
                new MountSpec { Destination = "/sys", Type = "none", Source = "/sys", Options = ["rbind", "nosuid", "noexec", "nodev", "ro"] },
            ],
            Linux = spec.Linux! with
            {
                Resources = null,
                UidMappings = [new IdMapping { ContainerId = 0, HostId = user, Size = 1 }],
                GidMappings = [new IdMapping { ContainerId = 0, HostId = group, Size = 1 }],
                Namespaces = [.. spec.Linux.Namespaces!.Where(entry => entry.Type != "network"), new NamespaceSpec { Type = "user" }],
            },
        };
    }
}
