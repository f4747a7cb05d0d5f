using Hull.Core;
using Hull.Linux;
using Hull.Linux.Abi;
using Hull.Linux.Processes;
using Hull.Linux.Syscalls;

namespace Hull.Engine.Drivers.Shims;

/// <summary>
/// Starts shims. One is kept ready ahead of the instance it will be for: starting a program takes a fifth of the time that
/// a whole short container does. It holds nothing but its end of a socket, and ends with the engine.
/// </summary>
public sealed class ShimLauncher(string? path) : IDisposable
{
    /// <summary>What a short command needs to its end; longer would leave the next of a quick sequence without.</summary>
    private static readonly TimeSpan s_preparePause = TimeSpan.FromMilliseconds(15);

    private readonly Lock _gate = new();
    private (ChildProcess Process, SafeFd Socket)? _ready;
    private int _argumentLength;
    private int _preparing;
    private bool _disposed;

    /// <summary>The program: as configured, else beside this one.</summary>
    public string Program { get; } = path ?? Path.Combine(AppContext.BaseDirectory, "hull-shim");

    /// <summary>
    /// A shim for a runtime directory; answers the engine's end of its first connection. The shim is a leader of its own
    /// session and keeps nothing of the engine but that socket.
    /// </summary>
    public (ChildProcess Process, SafeFd Socket) Start(string runtimeDirectory)
    {
        lock (_gate)
        {
            _argumentLength = runtimeDirectory.Length;
            if (_ready is { } ready)
            {
                _ready = null;
                if (ready.Process.TryWait(0) is null) return ready;
                ready.Socket.Dispose();
                ready.Process.Dispose();
            }
        }

        return StartNow(runtimeDirectory);
    }

    /// <summary>A shim that is kept for an instance to come, whose directory's name has so many characters.</summary>
    public (ChildProcess Process, SafeFd Socket) StartApart(int argumentLength) => StartNow(new string('-', argumentLength));

    /// <summary>Makes the next one ready in a moment: first the processor is for the instance that has just started, and its end.</summary>
    public void PrepareSoon()
    {
        if (Interlocked.Exchange(ref _preparing, 1) == 0) _ = PrepareLaterAsync();
    }

    private async Task PrepareLaterAsync()
    {
        await Task.Delay(s_preparePause).ConfigureAwait(false);
        Volatile.Write(ref _preparing, 0);
        Prepare();
    }

    /// <summary>Makes the next one ready now, when there is none.</summary>
    private void Prepare()
    {
        lock (_gate)
        {
            if (_disposed || _ready is not null || _argumentLength == 0) return;
            try
            {
                // As long as the directory that will take its place.
                _ready = StartNow(new string('-', _argumentLength));
            }
            catch (HullException)
            {
                // The next instance meets the same error and reports it.
            }
        }
    }

    public void Dispose()
    {
        lock (_gate)
        {
            _disposed = true;
            if (_ready is not { } ready) return;
            _ready = null;
            ready.Socket.Dispose();
            ready.Process.Wait();
            ready.Process.Dispose();
        }
    }

    private (ChildProcess Process, SafeFd Socket) StartNow(string argument)
    {
        var (ours, theirs) = SocketCalls.CreatePair(Sockets.SOCK_STREAM);
        using (theirs)
        {
            try
            {
                var process = ChildProcess.Start(new ChildProcessOptions(Program, argument)
                {
                    ExtraDescriptors = [theirs],
                    NewSession = true,
                    WorkingDirectory = "/",
                    Environment = s_environment,
                });
                return (process, ours);
            }
            catch (HullException error) when (error.Kind == ErrorKind.CommandNotFound)
            {
                ours.Dispose();
                throw new HullException(ErrorKind.Unavailable, $"{Program} is missing: install it beside hulld or set the shim's path", error);
            }
            catch
            {
                ours.Dispose();
                throw;
            }
        }
    }

    /// <summary>A shim needs no environment but PATH for runtimes by name.</summary>
    private static readonly Dictionary<string, string> s_environment = new()
    {
        ["PATH"] = Environment.GetEnvironmentVariable("PATH") ?? "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
    };
}
