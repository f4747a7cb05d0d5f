using Hull.Core;
using Hull.Linux.Abi;
using static Hull.Linux.Abi.Fcntl;
using static Hull.Linux.Abi.SyscallNumber;

namespace Hull.Linux.Children;

/// <content>Namespaces, credentials, limits and the final execve.</content>
public sealed unsafe partial class ChildProgram
{
    private const int LastSignal = 64;
    private const string DefaultPath = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

    public Operation SetNamespace(Argument descriptor, ulong type, string description) =>
        Call("join", description, SYS_setns, descriptor, type);

    public Operation Unshare(ulong flags, string description) => Call("unshare", description, SYS_unshare, flags);

    /// <summary>
    /// Goes on in a further child that is born into the new pid and time namespaces, and whose parent is this child's own
    /// (CLONE_PARENT). This child tells its pid, 8 bytes after <paramref name="message"/>, on the socket and ends. The further
    /// one goes on once <paramref name="message"/> came back: else it could be heard of before it is known.
    /// </summary>
    public void ContinueInClone(Argument socket, byte message)
    {
        var pid = NewSlot();
        var clone = Struct(new CloneArgs { flags = CloneFlags.CLONE_PARENT });
        Call("clone", "into the namespaces", SYS_clone3, clone, sizeof(CloneArgs), result: pid);
        var inChild = new Label();
        var inParent = new Label();
        Expect("clone", "into the namespaces", pid, 0).OnSuccess(inChild).OnFailure(inParent);
        Mark(inParent);
        var packet = (byte*)Buffer(8);
        // SAFETY: eight zeroed bytes of the arena.
        packet[0] = message;
        Store((nint)(packet + 4), pid);
        Call("report", "the process", SYS_write, socket, (nint)packet, 8);
        Call("end", null, SYS_exit_group, 0);
        Mark(inChild);
        WaitFor(socket, message);
    }

    public Operation Prctl(string description, int operation, Argument a = default, Argument b = default, Argument c = default) =>
        Call("set", description, SYS_prctl, operation, a, b, c, 0);

    public Operation SetSession() => Call("create a session", null, SYS_setsid);

    /// <summary>Default action for every signal and none blocked: what a fresh program expects.</summary>
    public void ResetSignals()
    {
        // clone3 with CLONE_CLEAR_SIGHAND resets handlers but leaves ignored signals ignored; the runtime ignores SIGPIPE.
        var action = Buffer(64);
        Call("reset", "SIGPIPE", SYS_rt_sigaction, 13, action, 0, LastSignal / 8);
        Call("unblock signals", null, SYS_rt_sigprocmask, 2 /* SIG_SETMASK */, Buffer(8), 0, LastSignal / 8);
    }

    public Operation SetHostname(string name) =>
        Call("set hostname", name, SYS_sethostname, Text(name), System.Text.Encoding.UTF8.GetByteCount(name));

    public Operation SetDomainname(string name) =>
        Call("set domainname", name, SYS_setdomainname, Text(name), System.Text.Encoding.UTF8.GetByteCount(name));

    /// <summary>Brings up the loopback interface, which is down in a new network namespace.</summary>
    public void BringLoopbackUp()
    {
        const uint SetInterfaceFlags = 0x8914; // SIOCSIFFLAGS
        const short UpAndRunning = 0x41; // IFF_UP | IFF_RUNNING
        const int RequestSize = 40; // sizeof(struct ifreq)
        const int FlagsOffset = 16; // offsetof(struct ifreq, ifr_flags)
        var request = (byte*)Buffer(RequestSize);
        // SAFETY: forty zeroed bytes of the arena; the name takes three of its sixteen, the flags two behind them.
        "lo\0"u8.CopyTo(new Span<byte>(request, RequestSize));
        *(short*)(request + FlagsOffset) = UpAndRunning;
        var socket = NewSlot();
        Call("open", "a socket for the loopback interface", SYS_socket, Sockets.AF_INET, Sockets.SOCK_DGRAM | Sockets.SOCK_CLOEXEC, 0, result: socket);
        Call("bring up", "the loopback interface", SYS_ioctl, socket, SetInterfaceFlags, (nint)request);
        Close(socket);
    }

    public Operation SetLimit(int resource, ResourceLimit limit, string name) =>
        Call("set limit", name, SYS_prlimit64, 0, resource, Struct(limit), 0);

    public Operation SetGroups(IReadOnlyList<uint> groups)
    {
        var list = (uint*)Buffer(Math.Max(1, groups.Count) * sizeof(uint));
        // SAFETY: room for all groups.
        for (var i = 0; i < groups.Count; i++) list[i] = groups[i];
        return Call("set supplementary groups", null, SYS_setgroups, groups.Count, (nint)list);
    }

    public Operation SetGroup(uint group) => Call("set group", group.ToString(), SYS_setresgid, group, group, group);

    public Operation SetUser(uint user) => Call("set user", user.ToString(), SYS_setresuid, user, user, user);

    public Operation Umask(uint mask) => Call("set umask", null, SYS_umask, mask);

    /// <summary>capset(2) of the three sets, as masks of capability numbers.</summary>
    public Operation SetCapabilities(ulong effective, ulong permitted, ulong inheritable)
    {
        var header = Struct(new CapabilityHeader { version = CapabilityHeader.Version3 });
        var data = (CapabilityData*)Buffer(2 * sizeof(CapabilityData));
        // SAFETY: version 3 takes two elements.
        data[0] = new CapabilityData { effective = (uint)effective, permitted = (uint)permitted, inheritable = (uint)inheritable };
        data[1] = new CapabilityData
        {
            effective = (uint)(effective >> 32), permitted = (uint)(permitted >> 32), inheritable = (uint)(inheritable >> 32),
        };
        return Call("set capabilities", null, SYS_capset, header, (nint)data);
    }

    /// <summary>seccomp(SECCOMP_SET_MODE_FILTER); the result slot gets the listener where the flags ask for one.</summary>
    public Operation LoadSeccomp(ReadOnlySpan<byte> instructions, uint flags, Slot? listener = null)
    {
        // struct sock_fprog: u16 len, pointer filter.
        var program = (byte*)Buffer(16);
        // SAFETY: 16 zeroed bytes of the arena hold the struct.
        *(ushort*)program = (ushort)(instructions.Length / 8);
        *(nint*)(program + 8) = Bytes(instructions);
        return Call("load the seccomp filter", null, SYS_seccomp, 1 /* SECCOMP_SET_MODE_FILTER */, flags, (nint)program, result: listener);
    }

    public Operation SetScheduler(SchedAttr attributes)
    {
        attributes.size = (uint)sizeof(SchedAttr);
        return Call("set the scheduler", null, SYS_sched_setattr, 0, Struct(attributes), 0);
    }

    public Operation SetAffinity(ReadOnlySpan<byte> mask) => Call("set CPU affinity", null, SYS_sched_setaffinity, 0, mask.Length, Bytes(mask));

    public Operation SetIoPriority(int value) =>
        Call("set the io priority", null, SYS_ioprio_set, IoPriority.IOPRIO_WHO_PROCESS, 0, value);

    public Operation Personality(uint domain) => Call("set personality", null, SYS_personality, domain);

    public Operation JoinSessionKeyring(string name) =>
        Call("create session keyring", name, SYS_keyctl, KeyControl.KEYCTL_JOIN_SESSION_KEYRING, Text(name));

    public Operation Ioctl(Argument descriptor, uint request, Argument argument, string verb, Slot? result = null) =>
        Call(verb, null, SYS_ioctl, descriptor, request, argument, result: result);

    /// <summary>Aborts unless the working directory is below the root: the kernel marks others "(unreachable)".</summary>
    public void ExpectReachableDirectory(string path)
    {
        const int size = 4096;
        var buffer = Buffer(size);
        Call("find the working directory", path, SYS_getcwd, buffer, size).As(ErrorKind.InvalidArgument);
        var first = Check;
        Load(first, buffer, 1);
        Expect("use a working directory outside the container:", path, first, (int)'/').As(ErrorKind.PermissionDenied);
    }

    /// <summary>
    /// Finds what execve would run: a name with a slash as it is, else the first executable file in the directories.
    /// The slot gets the address of its path. Reports CommandNotFound or CommandNotExecutable.
    /// </summary>
    public Slot FindExecutable(string name, IReadOnlyList<string> directories) =>
        FindFirst(name, [.. Candidates(name, directories).Select<string, (string, Action<Slot>)>(path => (path, slot => Set(slot, Text(path))))]);

    /// <summary>The paths at which a program of that name may be, in the order in which they are tried.</summary>
    public static IReadOnlyList<string> Candidates(string name, IReadOnlyList<string> directories) =>
        name.Contains('/') ? [name] : [.. directories.Select(directory => (directory is "" ? "." : directory.TrimEnd('/')) + "/" + name)];

    /// <summary>The directories of an environment's PATH, or of the usual one where it has none.</summary>
    public static string[] SearchPath(IReadOnlyList<string> environment)
    {
        foreach (var variable in environment)
        {
            if (variable.StartsWith("PATH=", StringComparison.Ordinal)) return variable[5..].Split(':');
        }

        return DefaultPath.Split(':');
    }

    /// <summary>What is said of a program that none of the directories has.</summary>
    public static string DescribeMissing(string name) => name.Contains('/') ? name : $"{name}: executable file not found in $PATH";

    /// <param name="candidates">What each is called in messages, and what puts the address of its path into a slot.</param>
    private Slot FindFirst(string name, IReadOnlyList<(string Name, Action<Slot> Put)> candidates)
    {
        var (found, path, error, probe) = (NewSlot(), NewSlot(), NewSlot(), NewSlot());
        var done = new Label();
        Set(error, (int)Errno.ENOENT);
        foreach (var (candidate, put) in candidates)
        {
            var (missing, refused, next) = (new Label(), new Label(), new Label());
            put(path);
            Call("find", candidate, SYS_faccessat2, AT_FDCWD, path, 1 /* X_OK */, AT_EACCESS).OnFailure(missing);
            Set(found, path);
            // A directory is executable too, in its way.
            Call("find", candidate, SYS_openat, AT_FDCWD, path, O_PATH | O_DIRECTORY | O_CLOEXEC, result: probe).OnFailure(done);
            Close(probe);
            Jump(refused);
            Mark(missing);
            SaveError(probe);
            Expect("find", candidate, probe, (int)Errno.EACCES).OnFailure(next);
            Mark(refused);
            Set(error, (int)Errno.EACCES);
            Mark(next);
        }

        var absent = new Label();
        Expect("find", name, error, (int)Errno.EACCES).OnFailure(absent);
        Fail("execute", name, (int)Errno.EACCES).As(ErrorKind.CommandNotExecutable);
        Mark(absent);
        Fail("execute", DescribeMissing(name), (int)Errno.ENOENT).As(ErrorKind.CommandNotFound);
        Mark(done);
        return found;
    }

    public void Execute(Slot path, Argument arguments, Argument environment, string name)
    {
        var (missing, other) = (new Label(), new Label());
        Call("execute", name, SYS_execve, path, arguments, environment).OnFailure(missing);
        Mark(missing);
        var error = NewSlot();
        SaveError(error);
        Expect("execute", name, error, (int)Errno.ENOENT).OnFailure(other);
        Fail("execute", name, error).As(ErrorKind.CommandNotFound);
        Mark(other);
        Fail("execute", name, error).As(ErrorKind.CommandNotExecutable);
    }

    /// <summary>Memory for a program that is named later.</summary>
    public DeferredProgram DeferProgram() => new(Buffer(DeferredProgram.Size));

    /// <summary>
    /// Waits for a packet of <see cref="DeferredProgram.Compose"/> on a socket; <see cref="Execute(DeferredProgram)"/> executes
    /// what it names.
    /// </summary>
    public void Receive(DeferredProgram program, Argument socket) => Call("receive", "the program", SYS_read, socket, program.Address, DeferredProgram.Size);

    /// <summary>Finds and executes what was received. Failures are reported as of <see cref="FindExecutable"/> and <see cref="Execute(Slot, Argument, Argument, string)"/>.</summary>
    public void Execute(DeferredProgram program)
    {
        const string name = "the program";
        var (arguments, environment) = (NewSlot(), NewSlot());
        var path = FindFirst(name,
            [.. Enumerable.Range(0, DeferredProgram.MaxCandidates).Select<int, (string, Action<Slot>)>(index => (name, slot => Load(slot, program.CandidateAt(index), sizeof(nint))))]);
        Load(arguments, program.ArgumentsAt, sizeof(nint));
        Load(environment, program.EnvironmentAt, sizeof(nint));
        Execute(path, arguments, environment, name);
    }

    private const int AT_EACCESS = 0x200;
}
