using Hull.Hypervisor.Qmp;
using Hull.Hypervisor.Templates;
using Hull.Linux;
using Hull.Linux.Abi;
using Hull.Linux.Cgroups;
using Hull.Linux.Files;
using Hull.Linux.Netlink;
using Hull.Linux.Processes;
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

    /// <summary>
    /// None of process ids: its first process cannot have siblings, and others of it end with it, so that no machine could be
    /// duplicated. Other users' processes are out of reach without, and its own there are none.
    /// </summary>
    private const ulong Namespaces = CloneFlags.CLONE_NEWNS | CloneFlags.CLONE_NEWIPC | CloneFlags.CLONE_NEWUTS | CloneFlags.CLONE_NEWNET;

    /// <param name="channels">The far ends of the agent's.</param>
    /// <param name="isOriginal">Others are to be made of it as of <paramref name="live"/>: it is not confined.</param>
    /// <param name="choose">Says whose twin it is, once it is made and is to run; what it throws ends the twin.</param>
    public static QemuMachine Launch(LiveTemplate live, HypervisorCapabilities capabilities, (SafeFd Control, SafeFd Data) channels, bool isOriginal,
        Func<TwinOwner> choose)
    {
        using var table = new DescriptorTable();
        var (number, qmp) = table.AddSocket();
        TwinOwner? owner = null;
        var parts = new List<IDisposable>();
        try
        {
            // Of the original alone: once the twin is made, others may be.
            var exclusive = FileLock.Acquire(Path.Combine(live.Directory, "lock"));
            parts.Add(exclusive);
            var process = ProcessTwin.Create(live.Process, new TwinOptions
            {
                Descriptors = new Dictionary<int, SafeFd> { [live.Control] = channels.Control, [live.Data] = channels.Data, [live.Qmp] = table[number] },
                IsOriginal = isOriginal,
                Namespaces = isOriginal ? 0 : Namespaces | (live.OfInstance ? CloneFlags.CLONE_NEWUSER : 0),
                // An instance's machine has neither left, and its filter is its twin's.
                Unmounts = isOriginal || live.OfInstance ? [] : ["/proc"],
                Filter = isOriginal || live.OfInstance ? null : SeccompFilter.Get(s_policy, null),
                Rest = () =>
                {
                    exclusive.Dispose();
                    owner = choose();
                    return OptionsFor(live, owner, parts);
                },
            });
            var machine = new QemuMachine(owner!.Config, process, QmpClient.Continue(qmp), capabilities, new LaunchOptions(LogPath: owner.LogPath, Jail: owner.Jail));
            machine.SetGenerations(live.Generations);
            // On a machine with both versions of cgroups, the one in which nothing is limited.
            if (parts.OfType<CgroupEntry>().Any(entry => entry is { CloneDescriptor: not null, JoinDescriptors.Count: > 0 }))
                machine.Confined = Task.Run(() => CgroupManager.Name(owner.Config.Id, owner.Jail.CgroupsPath).Add(process.Pid));
            return machine;
        }
        finally
        {
            foreach (var part in parts) part.Dispose();
        }
    }

    /// <summary>
    /// Makes a twin of a machine that is paused, to stand still as it is: with other channels and connected to no network, as
    /// the same user in the same cgroup.
    /// </summary>
    /// <param name="separated">Called when the machine can go on.</param>
    public static ChildProcess Hold(LiveTemplate machine, SafeFd control, SafeFd data, SafeFd qmp, Action separated)
    {
        using var nowhere = SocketCalls.Create(Sockets.AF_UNIX, Sockets.SOCK_DGRAM);
        return ProcessTwin.Create(machine.Process, new TwinOptions
        {
            Descriptors = new Dictionary<int, SafeFd> { [machine.Control] = control, [machine.Data] = data, [machine.Qmp] = qmp, [machine.Tap] = nowhere },
            Separated = separated,
        });
    }

    /// <param name="parts">What is to be disposed of when the twin has it.</param>
    private static TwinOptions OptionsFor(LiveTemplate live, TwinOwner owner, List<IDisposable> parts)
    {
        var log = OpenAppending(owner.LogPath);
        var console = OpenAppending(owner.ConsolePath);
        // A socket that is connected to nothing takes nothing and never has anything.
        var nowhere = SocketCalls.Create(Sockets.AF_UNIX, Sockets.SOCK_DGRAM);
        if (owner.Tap is not null) TapDevice.SetHeaderLength(owner.Tap, NetHeaderBytes);
        var descriptors = new Dictionary<int, SafeFd>(owner.Disks) { [live.Tap] = owner.Tap ?? nowhere };
        var returned = MemoryFile.ForReturned(owner.Config.MemoryBytes);
        foreach (var file in live.Files.Memory) descriptors[file] = returned.Descriptor;
        foreach (var file in live.Files.Log) descriptors[file] = log;
        foreach (var file in live.Files.Console) descriptors[file] = console;
        var cgroup = CgroupManager.Name(owner.Config.Id, owner.Jail.CgroupsPath);
        var entry = cgroup.Prepare(ResourceTranslation.ForCreate(new ResourcesSpec { Pids = new PidsSpec { Limit = QemuJail.MaximumThreads } }));
        parts.AddRange([log, console, nowhere, returned, entry]);
        return new TwinOptions
        {
            Descriptors = descriptors,
            UserId = owner.Jail.UserId,
            Name = (live.Name, owner.Config.Id),
            Joins = entry.JoinDescriptors,
            Prepare = entry.JoinDescriptors.Count > 0 ? null : cgroup.Add,
        };
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
                "kill", "tkill", "rt_sigqueueinfo", "rt_tgsigqueueinfo", "pidfd_open", "pidfd_send_signal", "get_robust_list",
                "setpriority", "sched_setparam", "sched_setscheduler", "sched_setaffinity", "sched_setattr", "ioprio_set", "mbind", "migrate_pages",
                "move_pages", "set_mempolicy", "lookup_dcookie", "fanotify_init", "memfd_secret", "landlock_create_ruleset",
            ], SeccompAction.Errno, 1, []),
            // Threads are made with clone(2), whose flags can be looked at.
            new SeccompRule(["clone3"], SeccompAction.Errno, 38, []),
            new SeccompRule(["clone"], SeccompAction.Errno, 1, [new SeccompArgument(0, CloneFlags.CLONE_THREAD, 0, SeccompOperator.MaskedEqual)]),
        ],
    };
}

/// <summary>Whose a twin is.</summary>
/// <param name="Tap">Null connects its NIC to nothing.</param>
/// <param name="Disks">Files in the place of the original's, by its numbers.</param>
internal sealed record TwinOwner(VirtualMachineConfig Config, QemuJail Jail, SafeFd? Tap, string LogPath, string ConsolePath, IReadOnlyDictionary<int, SafeFd> Disks);
