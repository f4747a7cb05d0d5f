using System.Globalization;
using Hull.Core;
using Hull.Engine.Drivers.Shims;
using Hull.Hypervisor.Qemu;
using Hull.Linux.Cgroups;
using Hull.Linux.Netlink;
using Hull.Linux.Processes;

namespace Hull.Engine.Diagnosis;

/// <summary>
/// Looks at the machine for what Hull stands on. Reads only, but for a probe guest of a few instructions that tells
/// whether KVM really runs guests. Needs no engine, so it can say why none starts.
/// </summary>
public static class HostChecks
{
    /// <summary>The oldest kernel with everything that is used without asking: mount_setattr(2).</summary>
    private static readonly Version s_oldestKernel = new(5, 12);

    private static readonly string[] s_controllers = ["cpu", "cpuset", "memory", "pids"];
    private static readonly string[] s_namespaces = ["mnt", "pid", "net", "ipc", "uts", "cgroup", "user"];
    private const long EnoughDescriptors = 65536;
    private const long LittleSpace = 1L << 30;

    public static async Task<IReadOnlyList<Finding>> RunAsync(EngineOptions options, TimeProvider clock, CancellationToken cancellationToken)
    {
        var findings = new List<Finding>();
        Kernel(findings);
        FileSystems(findings);
        Namespaces(findings);
        Cgroups(findings);
        Firewall(findings);
        Programs(findings, options);
        Limits(findings);
        Disk(findings, options);
        Clock(findings, options, clock.GetUtcNow().UtcDateTime);
        await VirtualizationAsync(findings, cancellationToken).ConfigureAwait(false);
        return findings;
    }

    private static void Kernel(List<Finding> findings)
    {
        var release = ReadLine("/proc/sys/kernel/osrelease");
        var digits = new string([.. release.TakeWhile(c => char.IsAsciiDigit(c) || c == '.')]).Trim('.');
        if (Version.TryParse(digits, out var version) && version < s_oldestKernel)
            findings.Add(new("kernel", FindingLevel.Error, $"Linux {release} is too old: containers need {s_oldestKernel} or later", "upgrade the kernel"));
        else findings.Add(new("kernel", FindingLevel.Ok, $"Linux {release}"));
        if (Directory.Exists("/proc/sys/kernel/seccomp")) findings.Add(new("kernel", FindingLevel.Ok, "seccomp filters system calls"));
        else findings.Add(new("kernel", FindingLevel.Error, "the kernel has no seccomp: containers with the default profile do not start", "use a kernel with CONFIG_SECCOMP_FILTER"));
    }

    private static void FileSystems(List<Finding> findings)
    {
        var known = File.ReadLines("/proc/filesystems").Select(line => line.Split('\t')[^1]).ToHashSet();
        foreach (var (name, level, loss) in new[]
        {
            ("overlay", FindingLevel.Error, "roots of containers are copies, slow and large (--storage-driver copy)"),
            ("erofs", FindingLevel.Warning, "layers are unpacked into directories, and machines cannot share them"),
            ("tmpfs", FindingLevel.Error, "containers do not start"),
        })
        {
            // A module is loaded by the first mount; only its absence on disk is final.
            if (known.Contains(name) || HasModule(name)) findings.Add(new("file systems", FindingLevel.Ok, name));
            else findings.Add(new("file systems", level, $"{name} is missing: {loss}", $"modprobe {name}, or use a kernel with it"));
        }
    }

    private static bool HasModule(string name)
    {
        var list = $"/lib/modules/{ReadLine("/proc/sys/kernel/osrelease")}/modules.dep";
        return File.Exists(list) && File.ReadLines(list).Any(line => line.Contains($"/{name}.ko", StringComparison.Ordinal));
    }

    private static void Namespaces(List<Finding> findings)
    {
        var missing = s_namespaces.Where(name => !File.Exists("/proc/self/ns/" + name)).ToList();
        findings.Add(missing.Count == 0
            ? new("namespaces", FindingLevel.Ok, string.Join(", ", s_namespaces))
            : new("namespaces", FindingLevel.Error, $"the kernel has no {string.Join(", ", missing)} namespaces", "use a kernel with CONFIG_NAMESPACES and all below it"));
        if (ReadLine("/proc/sys/user/max_user_namespaces") == "0")
            findings.Add(new("namespaces", FindingLevel.Warning, "user namespaces are switched off", "sysctl -w user.max_user_namespaces=15000"));
    }

    private static void Cgroups(List<Finding> findings)
    {
        ICgroup probe;
        try
        {
            probe = CgroupManager.Name("doctor", "/");
        }
        catch (HullException error) when (error.Kind == ErrorKind.InvalidArgument)
        {
            probe = CgroupManager.Name("doctor", "/doctor");
        }
        catch (HullException error)
        {
            findings.Add(new("cgroups", FindingLevel.Error, error.Message, "mount -t cgroup2 cgroup2 /sys/fs/cgroup"));
            return;
        }

        var unified = CgroupManager.Version == CgroupVersion.V2;
        var controllers = unified
            ? ReadLine(Path.Combine(Path.GetDirectoryName(probe.Paths[""])!, "cgroup.controllers")).Split(' ').ToHashSet()
            : probe.Paths.Keys.ToHashSet();
        var wanted = s_controllers.Append(unified ? "io" : "blkio").Concat(unified ? [] : ["devices", "freezer"]);
        var missing = wanted.Where(name => !controllers.Contains(name)).ToList();
        findings.Add(missing.Count == 0
            ? new("cgroups", FindingLevel.Ok, unified ? "version 2" : "version 1; version 2 has better limits: boot with systemd.unified_cgroup_hierarchy=1")
            : new("cgroups", FindingLevel.Warning, $"controllers are missing, and limits of that kind are refused: {string.Join(", ", missing)}",
                unified ? "echo '" + string.Join(' ', missing.Select(name => "+" + name)) + "' > /sys/fs/cgroup/cgroup.subtree_control" : "mount them below /sys/fs/cgroup, or boot with cgroup_enable=" + missing[0]));
    }

    private static void Firewall(List<Finding> findings)
    {
        try
        {
            using var socket = new NftSocket();
            var chains = socket.BaseChains();
            findings.Add(new("firewall", FindingLevel.Ok, string.Create(CultureInfo.InvariantCulture, $"nftables answers ({chains.Count} chains of all programs)")));
        }
        catch (HullException error)
        {
            findings.Add(new("firewall", FindingLevel.Error, $"nftables does not answer: ports cannot be published: {error.Message}",
                "run as root on a kernel with CONFIG_NF_TABLES, or modprobe nf_tables; --iptables=false does without"));
        }

        if (ReadLine("/proc/sys/net/ipv4/ip_forward") != "1")
            findings.Add(new("network", FindingLevel.Warning, "IP forwarding is off; the engine turns it on when it starts", "sysctl -w net.ipv4.ip_forward=1"));
    }

    private static void Programs(List<Finding> findings, EngineOptions options)
    {
        var directory = Path.GetDirectoryName(new ShimLauncher(options.ShimPath).Program) ?? "/";
        foreach (var (name, level, loss) in new[]
        {
            ("hull-shim", FindingLevel.Error, "nothing can be started"),
            ("hull-runtime", FindingLevel.Error, "containers cannot be started"),
            ("hull-init", FindingLevel.Warning, "--init is refused"),
            ("hull-vm", FindingLevel.Warning, "isolation vm is not available"),
            ("hull-agent", FindingLevel.Warning, "isolation vm is not available"),
        })
        {
            var path = Path.Combine(directory, name);
            if (!File.Exists(path)) findings.Add(new("programs", level, $"{path} is missing: {loss}", $"install {name} beside hulld"));
        }

        foreach (var (name, runtime) in options.Runtimes)
        {
            if (!File.Exists(runtime.Path)) findings.Add(new("programs", FindingLevel.Warning, $"runtime '{name}': {runtime.Path} does not exist", "install it, or take it out of the configuration"));
        }

        foreach (var (program, package, loss) in new[]
        {
            ("mkfs.ext4", "e2fsprogs", "isolation vm has no writable disks"),
            ("qemu-img", "qemu-utils", "full machines have no disks"),
        })
        {
            if (ProgramPath.Find(program) is not null) continue;
            findings.Add(new("programs", FindingLevel.Warning, $"{program} is missing: {loss}", $"apt install {package}"));
        }

        if (findings.All(finding => finding.Area != "programs")) findings.Add(new("programs", FindingLevel.Ok, $"all there, those of Hull in {directory}"));
    }

    private static void Limits(List<Finding> findings)
    {
        var line = File.ReadLines("/proc/self/limits").FirstOrDefault(text => text.StartsWith("Max open files", StringComparison.Ordinal));
        var soft = line?.Split(' ', StringSplitOptions.RemoveEmptyEntries).ElementAtOrDefault(4);
        if (long.TryParse(soft, NumberStyles.None, CultureInfo.InvariantCulture, out var hard) && hard < EnoughDescriptors)
        {
            findings.Add(new("limits", FindingLevel.Warning, $"{hard} open files at most: enough for about {hard / 8} containers",
                $"start the engine with LimitNOFILE={1 << 20} (systemd) or ulimit -n {1 << 20}"));
        }
        else findings.Add(new("limits", FindingLevel.Ok, $"{soft} open files at most"));
    }

    private static void Disk(List<Finding> findings, EngineOptions options)
    {
        foreach (var root in new[] { options.DataRoot, options.ExecRoot })
        {
            var path = root;
            while (!Directory.Exists(path)) path = Path.GetDirectoryName(path) ?? "/";
            var drive = new DriveInfo(path);
            var free = drive.AvailableFreeSpace;
            var share = drive.TotalSize > 0 ? 100 * free / drive.TotalSize : 100;
            var text = string.Create(CultureInfo.InvariantCulture, $"{root}: {free / (double)(1L << 30):F1} GiB free ({share} %)");
            // The runtime directory needs kilobytes per workload; the data root takes images.
            var little = root == options.DataRoot ? free < LittleSpace || share < 5 : free < LittleSpace / 64;
            findings.Add(little
                ? new("disk", free < LittleSpace / 64 ? FindingLevel.Error : FindingLevel.Warning, text, "hull system prune frees what nothing uses, hull system df shows what takes space")
                : new("disk", FindingLevel.Ok, text));
        }
    }

    /// <summary>A clock before what was written already breaks certificates, log times and restart backoff by date.</summary>
    private static void Clock(List<Finding> findings, EngineOptions options, DateTime now)
    {
        var newest = new[] { Environment.ProcessPath, Path.Combine(options.DataRoot, "engine.lock"), Path.Combine(options.DataRoot, "workloads") }
            .Where(path => path is not null && Path.Exists(path)).Select(path => File.GetLastWriteTimeUtc(path!)).DefaultIfEmpty().Max();
        findings.Add(now >= newest
            ? new("clock", FindingLevel.Ok, now.ToString("yyyy-MM-dd HH:mm:ss'Z'", CultureInfo.InvariantCulture))
            : new("clock", FindingLevel.Error, string.Create(CultureInfo.InvariantCulture, $"the clock says {now:u}, but files were written at {newest:u}: certificates may be refused"),
                "set the clock: timedatectl set-ntp true"));
    }

    private static async Task VirtualizationAsync(List<Finding> findings, CancellationToken cancellationToken)
    {
        try
        {
            var installation = await QemuInstallation.FindAsync(Platform.Host.Architecture, cancellationToken).ConfigureAwait(false);
            findings.Add(new("virtual machines", FindingLevel.Ok, $"QEMU {installation.Version} ({installation.Program})"));
            var choice = await AcceleratorProbe.ChooseAsync(installation, null, cancellationToken).ConfigureAwait(false);
            findings.Add(choice.Name == "kvm"
                ? new("virtual machines", FindingLevel.Ok, $"KVM: {choice.Reason}")
                : new("virtual machines", FindingLevel.Warning, $"machines are emulated, ten times slower and more: {choice.Reason}",
                    File.Exists("/dev/kvm") ? "this host's KVM does not run guests: allow nested virtualization where this machine is hosted"
                        : "modprobe kvm_intel or kvm_amd; inside a virtual machine, allow nested virtualization where it is hosted"));
        }
        catch (HullException error)
        {
            findings.Add(new("virtual machines", FindingLevel.Warning, $"isolation vm and full machines are not available: {error.Message}", "apt install qemu-system-x86 qemu-utils"));
        }

        if (!File.Exists("/dev/net/tun"))
            findings.Add(new("virtual machines", FindingLevel.Warning, "/dev/net/tun is missing: machines have no network", "modprobe tun"));
    }

    private static string ReadLine(string path) => File.Exists(path) ? File.ReadAllText(path).Trim() : "";
}
