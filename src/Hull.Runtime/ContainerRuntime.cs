using Hull.Core;
using Hull.Linux.Cgroups;
using Hull.Oci.Runtime;

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
/// Init and every exec are children of the process that called <see cref="Create"/> or <see cref="Exec"/>, which must
/// collect them. All methods may be called from any thread; those on one container take its lock.
/// Errors are <see cref="HullException"/>: NotFound and AlreadyExists for ids, InvalidArgument for a spec that is wrong,
/// Conflict for a container in the wrong state, CommandNotFound and CommandNotExecutable for the program.
/// </para>
/// </summary>
public sealed class ContainerRuntime(RuntimeOptions options)
{
    public RuntimeOptions Options { get; } = options;

    /// <summary>Makes a container and its init. On failure nothing stays.</summary>
    public ContainerProcess Create(string id, CreateOptions create) => throw new NotImplementedException();

    /// <summary>Executes the user's program in a created container.</summary>
    public void Start(string id) => throw new NotImplementedException();

    /// <summary><see cref="Create"/> and <see cref="Start"/>; deletes the container where the start fails.</summary>
    public ContainerProcess Run(string id, CreateOptions create) => throw new NotImplementedException();

    /// <summary>Starts a further process in a created or running container.</summary>
    public ContainerProcess Exec(string id, ProcessSpec process, ExecOptions exec) => throw new NotImplementedException();

    /// <summary>Signals init, or with <paramref name="all"/> every process of the container.</summary>
    public void Kill(string id, int signal, bool all = false) => throw new NotImplementedException();

    /// <summary>Removes a stopped container; with <paramref name="force"/> kills it first, and one that is gone is no error.</summary>
    public void Delete(string id, bool force = false) => throw new NotImplementedException();

    /// <summary>Where the container is in its life now.</summary>
    public ContainerState GetState(string id) => throw new NotImplementedException();

    /// <summary>Every container that can be read, in no order.</summary>
    public IReadOnlyList<ContainerState> List() => throw new NotImplementedException();

    /// <summary>The spec the container was made with.</summary>
    public Spec GetSpec(string id) => throw new NotImplementedException();

    /// <summary>The container's cgroup: processes, statistics, freezing, out-of-memory events.</summary>
    public ICgroup GetCgroup(string id) => throw new NotImplementedException();

    public void Pause(string id) => throw new NotImplementedException();

    public void Resume(string id) => throw new NotImplementedException();

    /// <summary>Changes limits live; members that are null stay as they are.</summary>
    public void Update(string id, ResourcesSpec resources) => throw new NotImplementedException();
}

/// <summary>The state of one container: the specification's, and what <c>list</c> shows besides.</summary>
public sealed record ContainerState(
    string Id, string Status, int Pid, string Bundle, string Rootfs, DateTimeOffset Created, string Owner,
    IReadOnlyDictionary<string, string> Annotations);
