using Hull.Core;
using Hull.Linux;
using Hull.Linux.Abi;
using Hull.Linux.Processes;
using Hull.Linux.Syscalls;
using Hull.Shim.Streams;

namespace Hull.Shim;

/// <summary>The init or an exec: a process of the container whose parent is the shim.</summary>
internal sealed class ShimProcess(string execId, ProcessStreams streams)
{
    /// <summary>Empty for the init.</summary>
    public string ExecId { get; } = execId;

    public ProcessStreams Streams { get; } = streams;

    public int Pid { get; set; }

    /// <summary>Set when it has ended.</summary>
    public ExitStatus? Status { get; set; }

    /// <summary>Nanoseconds since 1970; 0 while it runs.</summary>
    public long ExitedAt { get; set; }

    /// <summary>Output is delivered and the end was told.</summary>
    public bool Finished { get; set; }

    public void Signal(int signal)
    {
        if (Pid == 0 || Status is not null) throw HullException.Conflict("the process has ended");
        // Its number cannot have a new owner: nobody but this thread collects it.
        var result = ProcessCalls.Kill(Pid, signal);
        if (result != -(nint)Errno.ESRCH) Check.Result(result, $"send signal {signal}");
    }
}

/// <summary>The ends of pipes that go to a process, and ours.</summary>
internal sealed class StdioPipes : IDisposable
{
    private readonly SafeFd? _ourInput;
    private readonly SafeFd _ourOutput;
    private readonly SafeFd _ourError;
    private bool _used;

    public StdioPipes(bool openInput)
    {
        if (openInput) (Input, _ourInput) = FileCalls.Pipe();
        (_ourOutput, Output) = FileCalls.Pipe();
        (_ourError, Error) = FileCalls.Pipe();
        NonBlocking.Set(_ourOutput);
        NonBlocking.Set(_ourError);
    }

    /// <summary>Null stands for /dev/null.</summary>
    public SafeFd? Input { get; }

    public SafeFd Output { get; }

    public SafeFd Error { get; }

    /// <summary>The process has its ends: keep ours, close its.</summary>
    public void GiveTo(ProcessStreams streams)
    {
        _used = true;
        streams.UsePipes(_ourInput, _ourOutput, _ourError);
        Dispose();
    }

    public void Dispose()
    {
        Input?.Dispose();
        Output.Dispose();
        Error.Dispose();
        if (_used) return;
        _ourInput?.Dispose();
        _ourOutput.Dispose();
        _ourError.Dispose();
    }
}
