using Hull.Core;
using Hull.Linux;
using Hull.Linux.Cgroups;
using Hull.Linux.Resctrl;
using Hull.Linux.Syscalls;
using Hull.Oci.Runtime;
using Hull.Runtime.Resources;
using Hull.Runtime.State;

namespace Hull.Runtime;

/// <summary>
/// Containers of one state directory, as the OCI runtime-spec has them.
/// <para>
/// A container is made in two steps: <see cref="Create"/> leaves its init waiting inside finished namespaces, with the user's
/// program not yet executed; <see cref="Start"/> lets it go on. Between both a caller sets up what needs the namespaces,
/// such as the network. <see cref="Delete"/> takes away everything that was made. State lives in files, so any process
/// that opens the same root continues where another stopped or was killed.
/// </para>
/// <para>
/// Init and every exec are children of the process that called <see cref="Create"/> or <see cref="Exec(string, ProcessSpec, ExecOptions)"/>, which must
/// collect them. All methods may be called from any thread; those on one container take its lock.
/// Errors are <see cref="HullException"/>: NotFound and AlreadyExists for ids, InvalidArgument for a spec that is wrong,
/// Conflict for a container in the wrong state, CommandNotFound and CommandNotExecutable for the program.
/// </para>
/// <para>
/// A program that links this library should make itself undumpable (prctl(2), PR_SET_DUMPABLE) and run from a read-only
/// mount or a sealed memfd (<see cref="SelfProtection"/>): a container can reach its parent's executable through procfs.
/// </para>
/// </summary>
public sealed partial class ContainerRuntime(RuntimeOptions options)
{
    private const int SigKill = 9;
    private const int KillTimeoutMilliseconds = 10_000;

    public RuntimeOptions Options { get; } = options;

    private bool IsRootless => Options.Rootless ?? ProcessCalls.GetEffectiveUser() != 0;

    /// <summary>Signals init, or with <paramref name="all"/> every process of the container.</summary>
    public void Kill(string id, int signal, bool all = false)
    {
        using var directory = ContainerDirectory.Open(Options.Root, id, locked: false);
        var state = directory.ReadState();
        using var init = ProcessIdentity.TryOpen(state);
        var cgroup = CgroupManager.Load(state.Cgroup, state.Rootless);
        if (all)
        {
            cgroup.Kill(signal);
            return;
        }

        if (init is null) throw HullException.Conflict($"cannot kill container {id}: container not running");
        Check.Result(ProcessCalls.PidfdSendSignal(init.Value, signal), $"kill container {id}");
        // A frozen process of cgroup v1 dies only when it is thawed.
        if (signal == SigKill && cgroup.Freezer is FreezerState.Frozen or FreezerState.Freezing) cgroup.Thaw();
    }

    /// <summary>Where the container is in its life now.</summary>
    public ContainerState GetState(string id)
    {
        using var directory = ContainerDirectory.Open(Options.Root, id, locked: false);
        return Describe(directory, directory.ReadState());
    }

    /// <summary>Every container that can be read, in no order.</summary>
    public IReadOnlyList<ContainerState> List()
    {
        var containers = new List<ContainerState>();
        foreach (var id in ContainerDirectory.ListIds(Options.Root))
        {
            try
            {
                containers.Add(GetState(id));
            }
            catch (HullException error) when (error.Kind is ErrorKind.NotFound or ErrorKind.DataCorrupted)
            {
                // Made or deleted at this moment, or damaged: not a container that can be listed.
            }
        }

        return containers;
    }

    /// <summary>The spec the container was made with.</summary>
    public Spec GetSpec(string id)
    {
        using var directory = ContainerDirectory.Open(Options.Root, id, locked: false);
        return directory.ReadSpec();
    }

    /// <summary>The container's cgroup: processes, statistics, freezing, out-of-memory events.</summary>
    public ICgroup GetCgroup(string id)
    {
        using var directory = ContainerDirectory.Open(Options.Root, id, locked: false);
        var state = directory.ReadState();
        return CgroupManager.Load(state.Cgroup, state.Rootless);
    }

    public void Pause(string id)
    {
        using var directory = ContainerDirectory.Open(Options.Root, id, locked: true);
        var state = directory.ReadState();
        if (StatusOf(directory, state) is not (ContainerStatus.Running or ContainerStatus.Created))
            throw HullException.Conflict($"cannot pause container {id}: container not running");
        CgroupManager.Load(state.Cgroup, state.Rootless).Freeze();
    }

    public void Resume(string id)
    {
        using var directory = ContainerDirectory.Open(Options.Root, id, locked: true);
        var state = directory.ReadState();
        if (StatusOf(directory, state) != ContainerStatus.Paused) throw HullException.Conflict($"cannot resume container {id}: container not paused");
        CgroupManager.Load(state.Cgroup, state.Rootless).Thaw();
    }

    /// <summary>Changes limits live; members that are null stay as they are.</summary>
    /// <param name="shares">Shares of cache and memory bandwidth, or null.</param>
    public void Update(string id, ResourcesSpec resources, ResctrlLimits? shares = null)
    {
        using var directory = ContainerDirectory.Open(Options.Root, id, locked: true);
        var state = directory.ReadState();
        if (StatusOf(directory, state) == ContainerStatus.Stopped) throw HullException.Conflict($"cannot update container {id}: container not running");
        CgroupManager.Load(state.Cgroup, state.Rootless).Apply(ResourceTranslation.ForUpdate(resources));
        if (shares is { IsEmpty: false }) UpdateResctrl(directory, state, shares);
    }

    internal static string StatusOf(ContainerDirectory directory, StoredState state)
    {
        if (state.Pid == 0) return ContainerStatus.Creating;
        if (!ProcessIdentity.IsAlive(state)) return ContainerStatus.Stopped;
        if (CgroupManager.Load(state.Cgroup, state.Rootless).Freezer is FreezerState.Frozen or FreezerState.Freezing) return ContainerStatus.Paused;
        return directory.IsWaitingForStart() ? ContainerStatus.Created : ContainerStatus.Running;
    }

    private static ContainerState Describe(ContainerDirectory directory, StoredState state)
    {
        var status = StatusOf(directory, state);
        return new ContainerState(state.Id, status, status == ContainerStatus.Stopped ? 0 : state.Pid, state.Bundle, state.Rootfs, state.Created,
            state.OwnerUser, state.Annotations ?? new Dictionary<string, string>());
    }

    private static Hull.Oci.Runtime.State ToSpecState(StoredState state, string status, int pid) => new()
    {
        OciVersion = state.OciVersion,
        Id = state.Id,
        Status = status,
        Pid = pid,
        Bundle = state.Bundle,
        Annotations = state.Annotations,
    };
}

/// <summary>The state of one container: the specification's, and what <c>list</c> shows besides.</summary>
public sealed record ContainerState(
    string Id, string Status, int Pid, string Bundle, string Rootfs, DateTimeOffset Created, uint OwnerUser,
    IReadOnlyDictionary<string, string> Annotations);
