using Hull.Core;
using Hull.Linux;
using Hull.Linux.Abi;
using Hull.Linux.Children;
using Hull.Linux.Files;
using Hull.Linux.Seccomp;
using Hull.Linux.Syscalls;
using Hull.Oci.Runtime;
using Hull.Runtime.Specs;

namespace Hull.Runtime.Setup;

/// <summary>
/// What makes a child the process of the spec: streams, limits, user, capabilities, filter, and at last execve. Used by a
/// container's init and by exec alike.
/// </summary>
/// <param name="userNamespace">Whose mappings the process's ids are of, where it is in a user namespace of its container's.</param>
/// <param name="deferred">Where the program comes that is only named at the start; null takes the spec's.</param>
internal sealed class ProcessSetup(
    SetupSlots slots, ProcessSpec process, ProcessOptions options, SeccompProgram? seccomp, Action<IDisposable> own, LinuxSpec? userNamespace,
    DeferredProgram? deferred = null)
{
    private const uint DefaultUmask = 18; // 0022
    private readonly ChildProgram _program = slots.Program;
    private readonly ulong _permitted = CapabilityTable.Mask(process.Capabilities?.Permitted);
    private readonly ulong _effective = CapabilityTable.Mask(process.Capabilities?.Effective);
    private readonly ulong _inheritable = CapabilityTable.Mask(process.Capabilities?.Inheritable);
    private readonly ulong _ambient = CapabilityTable.Mask(process.Capabilities?.Ambient);
    private readonly ulong _bounding = CapabilityTable.Mask(process.Capabilities?.Bounding);
    private Slot _path;

    /// <summary>Message of the child that carries the listener of the seccomp filter.</summary>
    internal const byte SeccompListener = (byte)'s';

    /// <summary>
    /// Loading a filter takes no_new_privs or CAP_SYS_ADMIN; without the first, the capability is kept until the filter
    /// is loaded.
    /// </summary>
    private bool FilterNeedsPrivilege => seccomp is not null && !process.NoNewPrivileges;

    /// <summary>Limits and kernel attributes that need the privileges we still have.</summary>
    internal void AddAttributes(PersonalitySpec? personality, string keyring, IReadOnlyList<RlimitSpec>? limits, bool setOomScore)
    {
        if (!options.NoNewKeyring) _program.JoinSessionKeyring(keyring).Ignore(Errno.ENOSYS, Errno.EPERM, Errno.EDQUOT);
        if (personality is not null) _program.Personality(personality.Domain == "LINUX32" ? 8u : 0u);
        if (process.Scheduler is { } scheduler) _program.SetScheduler(SchedulingTable.ToAttributes(scheduler));
        if (process.IoPriority is { } priority) _program.SetIoPriority(SchedulingTable.ToIoPriority(priority));
        foreach (var limit in limits ?? [])
        {
            _program.SetLimit(ResourceLimitTable.Get(limit.Type), new ResourceLimit { rlim_cur = limit.Soft, rlim_max = limit.Hard }, limit.Type!);
        }

        if (setOomScore && process.OomScoreAdj is { } score) _program.WriteProc(slots.Proc, "self/oom_score_adj", score.ToString(), "set oom_score_adj", score.ToString());
    }

    /// <summary>Puts 0, 1, 2 and the further descriptors in place and marks everything else close-on-exec.</summary>
    internal void AddStreams()
    {
        if (process.Terminal)
        {
            _program.Ioctl(slots.TerminalPeer, Ioctl.TIOCSCTTY, 0, "take the terminal");
            for (var i = 0; i < 3; i++) _program.Place(slots.TerminalPeer, i);
        }
        else
        {
            // Copies above all targets, so that placing one cannot overwrite another.
            SafeFd[] streams = [Clear(options.Streams.Stdin, 0), Clear(options.Streams.Stdout, 1), Clear(options.Streams.Stderr, 2)];
            for (var i = 0; i < 3; i++)
            {
                GiveTo(streams[i]);
                _program.Place(_program.Inherit(streams[i]), i);
            }
        }

        var further = options.ExtraDescriptors.Select((descriptor, i) => Clear(descriptor, 3 + i)).ToList();
        for (var i = 0; i < further.Count; i++) _program.Place(_program.Inherit(further[i]), 3 + i);
        _program.CloseOnExecFrom(3 + options.ExtraDescriptors.Count);
    }

    /// <summary>User, groups and capabilities, the working directory, and the search for the program.</summary>
    internal void AddIdentity(bool setGroupsDenied)
    {
        // As root first and, where root may not, as the user: a directory need be open to one of them only.
        var (entered, inside) = (new Label(), new Label());
        var mustTryAgain = _program.NewSlot();
        _program.Set(mustTryAgain, 0);
        _program.Chdir(process.Cwd!).OnSuccess(entered).Ignore(Errno.EACCES);
        _program.Set(mustTryAgain, 1);
        _program.Mark(entered);
        var current = _program.NewSlot();
        _program.Set(current, 0);
        for (var number = 0; number < CapabilityTable.Names.Count; number++)
        {
            // EINVAL: this kernel has no such capability. EPERM: we may not, and hold less than the set anyway.
            if (((_bounding >> number) & 1) == 0) _program.Prctl($"bounding set ({CapabilityTable.Names[number]})", Prctl.PR_CAPBSET_DROP, number).Ignore(Errno.EINVAL);
        }

        _program.Prctl("keepcaps", Prctl.PR_SET_KEEPCAPS, 1);
        var user = process.User ?? new UserSpec();
        // Always, so that no group of the caller stays (moby CVE-2022-36109).
        var groups = _program.SetGroups(user.AdditionalGids ?? []);
        if (setGroupsDenied && user.AdditionalGids is not { Count: > 0 }) groups.Ignore(Errno.EPERM);
        _program.SetGroup(user.Gid);
        _program.SetUser(user.Uid);
        _program.Prctl("keepcaps", Prctl.PR_SET_KEEPCAPS, 0);
        var keep = FilterNeedsPrivilege ? 1UL << CapabilityTable.SysAdmin : 0;
        _program.SetCapabilities(_effective | keep, _permitted | keep, _inheritable);
        _program.Umask(user.Umask ?? DefaultUmask);
        _program.Expect("enter", process.Cwd!, mustTryAgain, 1).OnFailure(inside);
        _program.Chdir(process.Cwd!);
        _program.Mark(inside);
        _program.ExpectReachableDirectory(process.Cwd!);
        if (deferred is null) _path = _program.FindExecutable(process.Args![0], ChildProgram.SearchPath(process.Env ?? []));
        if (seccomp is { HasListener: true }) AddFilter();
    }

    /// <summary>The last steps, after a created container was started.</summary>
    internal void AddExecution(IReadOnlyList<string> environment)
    {
        if (seccomp is { HasListener: false } && FilterNeedsPrivilege) AddFilter();
        if (FilterNeedsPrivilege) _program.SetCapabilities(_effective, _permitted, _inheritable);
        _program.Prctl("ambient capabilities", Prctl.PR_CAP_AMBIENT, Prctl.PR_CAP_AMBIENT_CLEAR_ALL).Ignore(Errno.EINVAL);
        for (var number = 0; number < CapabilityTable.Names.Count; number++)
        {
            // One that is not both permitted and inheritable cannot be ambient; the specification asks for a warning at most.
            if (((_ambient >> number) & 1) != 0)
                _program.Prctl($"ambient capability {CapabilityTable.Names[number]}", Prctl.PR_CAP_AMBIENT, Prctl.PR_CAP_AMBIENT_RAISE, number).Ignore(Errno.EPERM, Errno.EINVAL);
        }

        _program.ResetSignals();
        if (process.NoNewPrivileges) _program.Prctl("no_new_privs", Prctl.PR_SET_NO_NEW_PRIVS, 1);
        if (seccomp is { HasListener: false } && !FilterNeedsPrivilege) AddFilter();
        if (deferred is { } program) _program.Execute(program);
        else _program.Execute(_path, _program.TextArray(process.Args!), _program.TextArray(environment), process.Args![0]);
    }

    /// <summary>The environment: the spec's, with HOME where it has none.</summary>
    internal static List<string> EnvironmentOf(ProcessSpec process, Func<uint, string?> homeOf, IReadOnlyList<string> more)
    {
        var environment = new List<string>(process.Env ?? []);
        if (!environment.Exists(variable => variable.StartsWith("HOME=", StringComparison.Ordinal)))
            environment.Add("HOME=" + (homeOf(process.User?.Uid ?? 0) ?? "/"));
        environment.AddRange(more);
        return environment;
    }

    /// <summary>The descriptor itself where it is in place or out of the way of all places, else a copy that is.</summary>
    private SafeFd Clear(SafeFd descriptor, int place)
    {
        var end = 3 + options.ExtraDescriptors.Count;
        if (descriptor.Value == place || descriptor.Value >= end) return descriptor;
        var copy = descriptor.DuplicateAbove(end);
        own(copy);
        return copy;
    }

    private void AddFilter()
    {
        if (!seccomp!.HasListener)
        {
            _program.LoadSeccomp(seccomp.Instructions, seccomp.Flags);
            return;
        }

        if (process.NoNewPrivileges) _program.Prctl("no_new_privs", Prctl.PR_SET_NO_NEW_PRIVS, 1);
        var listener = _program.NewSlot();
        _program.LoadSeccomp(seccomp.Instructions, seccomp.Flags, listener);
        _program.SendDescriptor(slots.Socket, SeccompListener, listener);
        _program.Close(listener);
        _program.WaitFor(slots.Socket, SeccompListener);
    }

    /// <summary>Lets the user of the process open /dev/stdout and its like, as every engine's images expect.</summary>
    private void GiveTo(SafeFd stream)
    {
        var user = process.User ?? new UserSpec();
        if (user.Uid == 0 && userNamespace is null) return;
        var status = stream.Stat();
        if (status.Kind == FileKind.CharacterDevice && status.Represents == (1, 3)) return;
        // Not a regular file of the host, whose owner is not ours to change.
        if (status.Kind is not (FileKind.Fifo or FileKind.CharacterDevice or FileKind.Socket)) return;
        if (userNamespace is null)
        {
            if (status.User != user.Uid) _program.FchownAt(_program.Inherit(stream), "", user.Uid, uint.MaxValue, Fcntl.AT_EMPTY_PATH).Ignore();
            return;
        }

        // Nobody in the namespace may change an owner it does not know. Who is not root may not here either: then it stays as it is.
        if (UserNamespaces.ToHost(userNamespace.UidMappings, user.Uid) is { } outside && outside != status.User)
            _ = MetadataCalls.FchownAt(stream.Value, "", outside, uint.MaxValue, Fcntl.AT_EMPTY_PATH);
    }
}
