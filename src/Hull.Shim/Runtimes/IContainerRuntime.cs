using Hull.Linux;
using Hull.Shim.Protocol;
using Hull.Shim.Streams;

namespace Hull.Shim.Runtimes;

/// <summary>
/// What the shim needs of something that can make containers. Each call answers through its callback, once, from the
/// event loop: with null when it worked, else with what went wrong. The container's init and its execs become children
/// of the shim.
/// </summary>
internal interface IContainerRuntime
{
    /// <summary>Makes the container up to the last step; answers the init's pid and its terminal, if it has one.</summary>
    void Create(StdioPipes? pipes, Action<Exception?, StartedProcess> done);

    /// <summary>Lets user code run.</summary>
    void Start(Action<Exception?> done);

    /// <summary>Starts a further process.</summary>
    void Exec(ExecMessage exec, StdioPipes? pipes, Action<Exception?, StartedProcess> done);

    /// <summary>Takes back what the runtime made; errors have nobody to go to.</summary>
    void Delete(Action done);
}

/// <summary>A process that a runtime started.</summary>
internal readonly record struct StartedProcess(int Pid, SafeFd? Terminal);
