using Hull.Hypervisor.Qmp;
using Hull.Hypervisor.Templates;
using Hull.Linux;
using Hull.Linux.Abi;
using Hull.Linux.Cgroups;
using Hull.Linux.Files;
using Hull.Linux.Netlink;
using Hull.Linux.Seccomp;
using Hull.Linux.Syscalls;
using Hull.Linux.Tracing;
using Hull.Oci.Runtime;
using Hull.Runtime.Resources;

namespace Hull.Hypervisor.Qemu;

/// <summary>Makes a twin of a live template's monitor: with channels, log and tap of its own, and confined as any monitor is.</summary>
internal static class QemuTwin
{
    /// <summary>What a virtio-net device with mergeable buffers puts before frames (Virtual I/O Device 1.2, 5.1.6).</summary>
    private const int NetHeaderBytes = 12;

    private const ulong Namespaces = CloneFlags.CLONE_NEWPID | CloneFlags.CLONE_NEWNS | CloneFlags.CLONE_NEWIPC | CloneFlags.CLONE_NEWUTS | CloneFlags.CLONE_NEWNET;

    /// <param name="channels">The far ends of the agent's.</param>
    /// <param name="disks">Files in the place of the original's, by its numbers.</param>
    /// <param name="tap">Null connects its NIC to nothing.</param>
    public static async Task<QemuMachine> LaunchAsync(LiveTemplate live, VirtualMachineConfig config, HypervisorCapabilities capabilities,
        QemuJail jail, (SafeFd Control, SafeFd Data) channels, SafeFd? tap, (string Log, string Console) paths, IReadOnlyDictionary<int, SafeFd> disks)
    {
        using var table = new DescriptorTable();
        var (number, qmp) = table.AddSocket();
        using var logFile = OpenAppending(paths.Log);
        using var consoleFile = OpenAppending(paths.Console);
        // A socket that is connected to nothing takes nothing and never has anything.
        using var nowhere = SocketCalls.Create(Sockets.AF_UNIX, Sockets.SOCK_DGRAM);
        if (tap is not null) TapDevice.SetHeaderLength(tap, NetHeaderBytes);
        var descriptors = new Dictionary<int, SafeFd>(disks)
        {
            [live.Control] = channels.Control, [live.Data] = channels.Data, [live.Qmp] = table[number], [live.Tap] = tap ?? nowhere,
        };
        foreach (var file in live.Files.Log) descriptors[file] = logFile;
        foreach (var file in live.Files.Console) descriptors[file] = consoleFile;
        var cgroup = CgroupManager.Name(config.Id, jail.CgroupsPath);
        using var entry = cgroup.Prepare(ResourceTranslation.ForCreate(new ResourcesSpec { Pids = new PidsSpec { Limit = QemuJail.MaximumThreads } }));
        using var exclusive = FileLock.Acquire(Path.Combine(live.Directory, "lock"));
        var process = ProcessTwin.Create(live.Process, new TwinOptions
        {
            Descriptors = descriptors,
            Namespaces = Namespaces,
            Unmounts = ["/proc"],
            UserId = jail.UserId,
            Filter = SeccompFilter.Get(s_policy, null),
            Name = (live.Name, config.Id),
            Joins = entry.JoinDescriptors,
            Prepare = entry.JoinDescriptors.Count > 0 ? null : cgroup.Add,
        });
        var machine = new QemuMachine(config, process, QmpClient.Continue(qmp), capabilities, new LaunchOptions(LogPath: paths.Log, Jail: jail));
        machine.SetGenerations(live.Generations);
        // On a machine with both versions, the one in which nothing is limited.
        if (entry is { CloneDescriptor: not null, JoinDescriptors.Count: > 0 }) machine.Confined = Task.Run(() => cgroup.Add(process.Pid));
        return machine;
    }

    private static SafeFd OpenAppending(string path) => Check.Descriptor(
        FileCalls.OpenAt(Fcntl.AT_FDCWD, path, Fcntl.O_WRONLY | Fcntl.O_CREAT | Fcntl.O_APPEND, 0x180), $"open {path}");

    /// <summary>What QEMU's own <c>-sandbox</c> denies with every group denied, and more that a running monitor has no use for.</summary>
    private static readonly SeccompPolicy s_policy = new()
    {
        DefaultAction = SeccompAction.Allow,
        Rules =
        [
            new SeccompRule(
            [
                "execve", "execveat", "fork", "vfork", "unshare", "setns", "mount", "umount2", "pivot_root", "chroot", "open_tree", "move_mount",
                "fsopen", "fsconfig", "fsmount", "fspick", "mount_setattr", "ptrace", "process_vm_readv", "process_vm_writev", "process_madvise",
                "pidfd_getfd", "kcmp", "bpf", "perf_event_open", "userfaultfd", "keyctl", "add_key", "request_key", "open_by_handle_at",
                "name_to_handle_at", "init_module", "finit_module", "delete_module", "kexec_load", "kexec_file_load", "reboot", "swapon", "swapoff",
                "syslog", "acct", "quotactl", "settimeofday", "clock_settime", "adjtimex", "clock_adjtime", "sethostname", "setdomainname",
                "setuid", "setgid", "setpgid", "setsid", "setreuid", "setregid", "setresuid", "setresgid", "setfsuid", "setfsgid", "setgroups", "capset",
                "personality", "sysfs", "_sysctl", "uselib", "ustat", "vhangup", "iopl", "ioperm", "modify_ldt", "io_uring_setup", "socket",
                "setpriority", "sched_setparam", "sched_setscheduler", "sched_setaffinity", "sched_setattr", "ioprio_set", "mbind", "migrate_pages",
                "move_pages", "set_mempolicy", "lookup_dcookie", "fanotify_init", "memfd_secret", "landlock_create_ruleset",
            ], SeccompAction.Errno, 1, []),
            // Threads are made with clone(2), whose flags can be looked at.
            new SeccompRule(["clone3"], SeccompAction.Errno, 38, []),
            new SeccompRule(["clone"], SeccompAction.Errno, 1, [new SeccompArgument(0, CloneFlags.CLONE_THREAD, 0, SeccompOperator.MaskedEqual)]),
        ],
    };
}
