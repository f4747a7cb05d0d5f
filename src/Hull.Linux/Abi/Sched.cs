namespace Hull.Linux.Abi;

/// <summary>Flags of clone(2), clone3(2), unshare(2) and setns(2).</summary>
[CHeader("linux/sched.h")]
public static class CloneFlags
{
    public const ulong CLONE_VM = 0x100;
    public const ulong CLONE_FS = 0x200;
    public const ulong CLONE_FILES = 0x400;
    public const ulong CLONE_SIGHAND = 0x800;
    public const ulong CLONE_PIDFD = 0x1000;
    public const ulong CLONE_VFORK = 0x4000;
    public const ulong CLONE_PARENT = 0x8000;
    public const ulong CLONE_THREAD = 0x10000;
    public const ulong CLONE_SYSVSEM = 0x40000;
    public const ulong CLONE_SETTLS = 0x80000;
    public const ulong CLONE_CHILD_CLEARTID = 0x200000;
    public const ulong CLONE_CHILD_SETTID = 0x1000000;
    public const ulong CLONE_NEWTIME = 0x80;
    public const ulong CLONE_NEWNS = 0x20000;
    public const ulong CLONE_NEWCGROUP = 0x02000000;
    public const ulong CLONE_NEWUTS = 0x04000000;
    public const ulong CLONE_NEWIPC = 0x08000000;
    public const ulong CLONE_NEWUSER = 0x10000000;
    public const ulong CLONE_NEWPID = 0x20000000;
    public const ulong CLONE_NEWNET = 0x40000000;
    public const ulong CLONE_CLEAR_SIGHAND = 0x100000000;
    public const ulong CLONE_INTO_CGROUP = 0x200000000;
}

[CHeader("linux/types.h", "linux/sched.h"), CName("struct clone_args")]
public struct CloneArgs
{
    public ulong flags;
    public ulong pidfd;
    public ulong child_tid;
    public ulong parent_tid;
    public ulong exit_signal;
    public ulong stack;
    public ulong stack_size;
    public ulong tls;
    public ulong set_tid;
    public ulong set_tid_size;
    public ulong cgroup;
}

/// <summary>Scheduling policies and the flags of sched_setattr(2).</summary>
[CHeader("linux/sched.h")]
public static class Scheduling
{
    public const uint SCHED_NORMAL = 0;
    public const uint SCHED_FIFO = 1;
    public const uint SCHED_RR = 2;
    public const uint SCHED_BATCH = 3;
    public const uint SCHED_IDLE = 5;
    public const uint SCHED_DEADLINE = 6;
    public const ulong SCHED_FLAG_RESET_ON_FORK = 0x01;
    public const ulong SCHED_FLAG_RECLAIM = 0x02;
    public const ulong SCHED_FLAG_DL_OVERRUN = 0x04;
    public const ulong SCHED_FLAG_KEEP_POLICY = 0x08;
    public const ulong SCHED_FLAG_KEEP_PARAMS = 0x10;
    public const ulong SCHED_FLAG_UTIL_CLAMP_MIN = 0x20;
    public const ulong SCHED_FLAG_UTIL_CLAMP_MAX = 0x40;
}

[CHeader("linux/types.h", "linux/sched/types.h"), CName("struct sched_attr")]
public struct SchedAttr
{
    public uint size;
    public uint sched_policy;
    public ulong sched_flags;
    public int sched_nice;
    public uint sched_priority;
    public ulong sched_runtime;
    public ulong sched_deadline;
    public ulong sched_period;
    public uint sched_util_min;
    public uint sched_util_max;
}

/// <summary>Classes of ioprio_set(2).</summary>
[CHeader("linux/ioprio.h")]
public static class IoPriority
{
    public const int IOPRIO_CLASS_SHIFT = 13;
    public const int IOPRIO_CLASS_NONE = 0;
    public const int IOPRIO_CLASS_RT = 1;
    public const int IOPRIO_CLASS_BE = 2;
    public const int IOPRIO_CLASS_IDLE = 3;
    public const int IOPRIO_WHO_PROCESS = 1;
}

/// <summary>Operations of prctl(2).</summary>
[CHeader("linux/prctl.h")]
public static class Prctl
{
    public const int PR_SET_PDEATHSIG = 1;
    public const int PR_GET_DUMPABLE = 3;
    public const int PR_SET_DUMPABLE = 4;
    public const int PR_SET_KEEPCAPS = 8;
    public const int PR_SET_NAME = 15;
    public const int PR_CAPBSET_READ = 23;
    public const int PR_CAPBSET_DROP = 24;
    public const int PR_GET_SECUREBITS = 27;
    public const int PR_SET_SECUREBITS = 28;
    public const int PR_SET_CHILD_SUBREAPER = 36;
    public const int PR_SET_NO_NEW_PRIVS = 38;
    public const int PR_GET_NO_NEW_PRIVS = 39;
    public const int PR_CAP_AMBIENT = 47;
    public const int PR_CAP_AMBIENT_RAISE = 2;
    public const int PR_CAP_AMBIENT_CLEAR_ALL = 4;
    public const int PR_SET_THP_DISABLE = 41;
}

/// <summary>Bits of PR_SET_SECUREBITS (capabilities(7)).</summary>
[CHeader("linux/securebits.h")]
public static class SecureBits
{
    public const int SECBIT_NO_SETUID_FIXUP = 4;
}

/// <summary>Options of waitid(2) and friends.</summary>
[CHeader("sys/wait.h", "signal.h", "poll.h", "sys/epoll.h")]
public static class Waiting
{
    public const int WNOHANG = 1;
    public const int WUNTRACED = 2;
    public const int WEXITED = 4;
    public const int WNOWAIT = 0x01000000;
    public const int P_PID = 1;
    public const int P_PIDFD = 3;
    public const int CLD_EXITED = 1;
    public const int CLD_KILLED = 2;
    public const int CLD_DUMPED = 3;

    public const short POLLIN = 1;
    public const short POLLOUT = 4;
    public const short POLLERR = 8;
    public const short POLLHUP = 16;
    public const short POLLNVAL = 32;

    public const uint EPOLLIN = 1;
    public const uint EPOLLOUT = 4;
    public const uint EPOLLERR = 8;
    public const uint EPOLLHUP = 16;
    public const uint EPOLLONESHOT = 1u << 30;
    public const int EPOLL_CTL_ADD = 1;
    public const int EPOLL_CTL_DEL = 2;
    public const int EPOLL_CTL_MOD = 3;
    public const int EPOLL_CLOEXEC = 0x80000;
}

[CHeader("poll.h"), CName("struct pollfd")]
public struct PollFd
{
    public int fd;
    public short events;
    public short revents;
}

/// <summary>The version-3 header and data of capget(2) and capset(2).</summary>
[CHeader("linux/capability.h"), CName("struct __user_cap_header_struct")]
public struct CapabilityHeader
{
    public const uint Version3 = 0x20080522;
    public uint version;
    public int pid;
}

[CHeader("linux/capability.h"), CName("struct __user_cap_data_struct")]
public struct CapabilityData
{
    public uint effective;
    public uint permitted;
    public uint inheritable;
}

[CHeader("sys/resource.h"), CName("struct rlimit")]
public struct ResourceLimit
{
    public ulong rlim_cur;
    public ulong rlim_max;
}

/// <summary>Resources of prlimit(2).</summary>
[CHeader("sys/resource.h")]
public static class ResourceLimits
{
    public const int RLIMIT_CPU = 0;
    public const int RLIMIT_FSIZE = 1;
    public const int RLIMIT_DATA = 2;
    public const int RLIMIT_STACK = 3;
    public const int RLIMIT_CORE = 4;
    public const int RLIMIT_RSS = 5;
    public const int RLIMIT_NPROC = 6;
    public const int RLIMIT_NOFILE = 7;
    public const int RLIMIT_MEMLOCK = 8;
    public const int RLIMIT_AS = 9;
    public const int RLIMIT_LOCKS = 10;
    public const int RLIMIT_SIGPENDING = 11;
    public const int RLIMIT_MSGQUEUE = 12;
    public const int RLIMIT_NICE = 13;
    public const int RLIMIT_RTPRIO = 14;
    public const int RLIMIT_RTTIME = 15;
    public const ulong RLIM_INFINITY = ulong.MaxValue;
}

/// <summary>Operations of keyctl(2).</summary>
[CHeader("linux/keyctl.h")]
public static class KeyControl
{
    public const int KEYCTL_JOIN_SESSION_KEYRING = 1;
    public const int KEYCTL_DESCRIBE = 6;
    public const int KEYCTL_SETPERM = 5;
}
