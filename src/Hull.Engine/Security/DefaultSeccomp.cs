using System.Runtime.InteropServices;
using Hull.Oci.Runtime;

namespace Hull.Engine.Security;

/// <summary>
/// The system calls a workload may make unless its user says otherwise: everything ordinary programs use, and nothing that
/// reaches the machine rather than the workload (modules, clocks, keyrings, kexec, mounting, raw performance counters).
/// What a capability is for is allowed with that capability. The effect is that of the profile Docker documents.
/// </summary>
public static class DefaultSeccomp
{
    private const string Allow = "SCMP_ACT_ALLOW";
    private const uint ENOSYS = 38;

    /// <summary>CLONE_NEW* of clone(2), whose flags are in the first argument (the second on s390).</summary>
    private const ulong NamespaceFlags = 0x7E020000;

    private const string Always = """
        accept accept4 access adjtimex alarm bind brk cachestat capget capset chdir chmod chown chown32 clock_adjtime clock_adjtime64
        clock_getres clock_getres_time64 clock_gettime clock_gettime64 clock_nanosleep clock_nanosleep_time64 close close_range connect
        copy_file_range creat dup dup2 dup3 epoll_create epoll_create1 epoll_ctl epoll_ctl_old epoll_pwait epoll_pwait2 epoll_wait
        epoll_wait_old eventfd eventfd2 execve execveat exit exit_group faccessat faccessat2 fadvise64 fadvise64_64 fallocate
        fanotify_mark fchdir fchmod fchmodat fchmodat2 fchown fchown32 fchownat fcntl fcntl64 fdatasync fgetxattr flistxattr flock fork
        fremovexattr fsetxattr fstat fstat64 fstatat64 fstatfs fstatfs64 fsync ftruncate ftruncate64 futex futex_requeue futex_time64
        futex_wait futex_waitv futex_wake futimesat getcpu getcwd getdents getdents64 getegid getegid32 geteuid geteuid32 getgid
        getgid32 getgroups getgroups32 getitimer getpeername getpgid getpgrp getpid getppid getpriority getrandom getresgid
        getresgid32 getresuid getresuid32 getrlimit get_robust_list getrusage getsid getsockname getsockopt get_thread_area gettid
        gettimeofday getuid getuid32 getxattr getxattrat inotify_add_watch inotify_init inotify_init1 inotify_rm_watch io_cancel ioctl
        io_destroy io_getevents io_pgetevents io_pgetevents_time64 ioprio_get ioprio_set io_setup io_submit ipc kill
        landlock_add_rule landlock_create_ruleset landlock_restrict_self lchown lchown32 lgetxattr link linkat listen listmount
        listxattr listxattrat llistxattr _llseek lremovexattr lseek lsetxattr lstat lstat64 madvise map_shadow_stack membarrier
        memfd_create memfd_secret mincore mkdir mkdirat mknod mknodat mlock mlock2 mlockall mmap mmap2 mprotect mq_getsetattr mq_notify
        mq_open mq_timedreceive mq_timedreceive_time64 mq_timedsend mq_timedsend_time64 mq_unlink mremap mseal msgctl msgget msgrcv
        msgsnd msync munlock munlockall munmap name_to_handle_at nanosleep newfstatat _newselect open openat openat2 pause
        pidfd_open pidfd_send_signal pipe pipe2 pkey_alloc pkey_free pkey_mprotect poll ppoll ppoll_time64 prctl pread64 preadv
        preadv2 prlimit64 process_mrelease pselect6 pselect6_time64 pwrite64 pwritev pwritev2 read readahead readlink readlinkat
        readv recv recvfrom recvmmsg recvmmsg_time64 recvmsg remap_file_pages removexattr removexattrat rename renameat renameat2
        restart_syscall rmdir rseq rt_sigaction rt_sigpending rt_sigprocmask rt_sigqueueinfo rt_sigreturn rt_sigsuspend
        rt_sigtimedwait rt_sigtimedwait_time64 rt_tgsigqueueinfo sched_getaffinity sched_getattr sched_getparam
        sched_get_priority_max sched_get_priority_min sched_getscheduler sched_rr_get_interval sched_rr_get_interval_time64
        sched_setaffinity sched_setattr sched_setparam sched_setscheduler sched_yield seccomp select semctl semget semop semtimedop
        semtimedop_time64 send sendfile sendfile64 sendmmsg sendmsg sendto setfsgid setfsgid32 setfsuid setfsuid32 setgid setgid32
        setgroups setgroups32 setitimer setpgid setpriority setregid setregid32 setresgid setresgid32 setresuid setresuid32 setreuid
        setreuid32 setrlimit set_robust_list setsid setsockopt set_thread_area set_tid_address setuid setuid32 setxattr setxattrat shmat
        shmctl shmdt shmget shutdown sigaltstack signalfd signalfd4 sigprocmask sigreturn socketcall socketpair splice stat stat64
        statfs statfs64 statmount statx symlink symlinkat sync sync_file_range syncfs sysinfo tee tgkill time timer_create
        timer_delete timer_getoverrun timer_gettime timer_gettime64 timer_settime timer_settime64 timerfd_create timerfd_gettime
        timerfd_gettime64 timerfd_settime timerfd_settime64 times tkill truncate truncate64 ugetrlimit umask uname unlink unlinkat
        uretprobe utime utimensat utimensat_time64 utimes vfork vmsplice wait4 waitid waitpid write writev
        process_vm_readv process_vm_writev ptrace
        """;

    /// <summary>Calls that come with a capability.</summary>
    private static readonly (string Capability, string Calls)[] s_privileged =
    [
        ("CAP_DAC_READ_SEARCH", "open_by_handle_at"),
        ("CAP_SYS_ADMIN", """
            bpf clone clone3 fanotify_init fsconfig fsmount fsopen fspick lookup_dcookie mount mount_setattr move_mount open_tree
            perf_event_open quotactl quotactl_fd setdomainname sethostname setns syslog umount umount2 unshare
            """),
        ("CAP_SYS_BOOT", "reboot"),
        ("CAP_SYS_CHROOT", "chroot"),
        ("CAP_SYS_MODULE", "delete_module init_module finit_module"),
        ("CAP_SYS_PACCT", "acct"),
        ("CAP_SYS_PTRACE", "kcmp pidfd_getfd process_madvise process_vm_readv process_vm_writev ptrace"),
        ("CAP_SYS_RAWIO", "iopl ioperm"),
        ("CAP_SYS_TIME", "settimeofday stime clock_settime clock_settime64"),
        ("CAP_SYS_TTY_CONFIG", "vhangup"),
        ("CAP_SYS_NICE", "get_mempolicy mbind set_mempolicy set_mempolicy_home_node"),
        ("CAP_SYSLOG", "syslog"),
        ("CAP_BPF", "bpf"),
        ("CAP_PERFMON", "perf_event_open"),
    ];

    /// <summary>The profile for a process that has these capabilities.</summary>
    public static SeccompSpec For(IReadOnlyList<string> capabilities)
    {
        var rules = new List<SyscallSpec>
        {
            new() { Names = Words(Always), Action = Allow },
            // Families: everything but AF_VSOCK (40), which reaches the hypervisor's other guests and the host.
            Conditional("socket", new SyscallArgumentSpec { Index = 0, Value = 40, Op = "SCMP_CMP_NE" }),
        };
        // The execution domains that programs ask for: Linux, 32 bits, the same without randomization, and "which is it".
        foreach (var domain in (ulong[])[0x0, 0x8, 0x20000, 0x20008, 0xffffffff])
            rules.Add(Conditional("personality", new SyscallArgumentSpec { Index = 0, Value = domain, Op = "SCMP_CMP_EQ" }));
        AddArchitecture(rules);
        foreach (var (capability, calls) in s_privileged)
        {
            if (capabilities.Contains(capability)) rules.Add(new SyscallSpec { Names = Words(calls), Action = Allow });
        }

        if (!capabilities.Contains("CAP_SYS_ADMIN"))
        {
            // Threads and processes, but no new namespaces. clone3(2) hides its flags in memory that a filter cannot read;
            // ENOSYS makes the C library fall back to clone(2).
            rules.Add(Conditional("clone", new SyscallArgumentSpec { Index = 0, Value = NamespaceFlags, ValueTwo = 0, Op = "SCMP_CMP_MASKED_EQ" }));
            rules.Add(new SyscallSpec { Names = ["clone3"], Action = "SCMP_ACT_ERRNO", ErrnoRet = ENOSYS });
        }

        return new SeccompSpec
        {
            DefaultAction = "SCMP_ACT_ERRNO",
            DefaultErrnoRet = 1,
            Architectures = Architectures(),
            Syscalls = rules,
        };
    }

    private static string[] Architectures() => RuntimeInformation.OSArchitecture switch
    {
        Architecture.X64 => ["SCMP_ARCH_X86_64", "SCMP_ARCH_X86", "SCMP_ARCH_X32"],
        Architecture.Arm64 => ["SCMP_ARCH_AARCH64", "SCMP_ARCH_ARM"],
        _ => [],
    };

    private static void AddArchitecture(List<SyscallSpec> rules)
    {
        var calls = RuntimeInformation.OSArchitecture switch
        {
            Architecture.X64 => "arch_prctl modify_ldt",
            Architecture.Arm64 => "arm_fadvise64_64 arm_sync_file_range sync_file_range2 breakpoint cacheflush set_tls",
            _ => "",
        };
        if (calls.Length > 0) rules.Add(new SyscallSpec { Names = Words(calls), Action = Allow });
    }

    private static SyscallSpec Conditional(string name, SyscallArgumentSpec condition) =>
        new() { Names = [name], Action = Allow, Args = [condition] };

    private static string[] Words(string text) => text.Split((char[])[' ', '\n', '\r'], StringSplitOptions.RemoveEmptyEntries);
}
