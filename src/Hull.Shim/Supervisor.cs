using Hull.Core;
using Hull.Linux;
using Hull.Linux.Abi;
using Hull.Linux.Processes;
using Hull.Linux.Syscalls;
using Hull.Shim.Logging;
using Hull.Shim.Protocol;
using Hull.Shim.Runtimes;
using Hull.Shim.Streams;

namespace Hull.Shim;

/// <summary>
/// Supervises one instance from its creation to its end, in one thread. What the engine asks comes as frames; what it
/// must know if it is dead at that moment is on disk before anybody is told.
/// </summary>
internal sealed partial class Supervisor : IReady
{
    /// <summary>Time that output may still come after a process ended whose outputs others hold open, in milliseconds.</summary>
    private const int DrainGrace = 200;

    private const int TrimDelay = 1000;

    private readonly EventLoop _loop;
    private readonly Reaper _reaper;
    private string _directory = "";
    private SafeFd? _listener;
    private readonly ReadBuffer _buffer = new();
    private readonly List<ControlConnection> _connections = [];
    private readonly Dictionary<string, ShimProcess> _execs = [];
    private CreateMessage? _create;
    private IContainerRuntime? _runtime;

    /// <summary>What came after the request to create the instance, and is done when that is.</summary>
    private readonly Queue<(ControlConnection Connection, byte[] Frame)> _awaiting = [];

    /// <summary>A runtime that was made ready for the instance to come.</summary>
    private ResidentProgram? _warm;
    private ShimProcess? _init;
    private LogSink? _log;
    private ShimState _state = ShimState.Empty;
    private long _startedAt;
    private OomNotice? _oom;
    private SafeFd? _mounts;
    private bool _cleaned;
    private bool _starting;
    private bool _trimming;
    private long _lastWork;

    private bool IsCreating => _create is not null && _state == ShimState.Empty;

    public Supervisor(EventLoop loop)
    {
        _loop = loop;
        _reaper = new Reaper(loop);
        loop.AfterRound = AfterRound;
        // It may be kept for an instance to come.
        TrimLater();
    }

    /// <summary>A connection that exists from the start: the engine's end of the socket pair the shim was born with.</summary>
    public ControlConnection Adopt(SafeFd socket)
    {
        var connection = new ControlConnection(_loop, this, socket);
        _connections.Add(connection);
        connection.Start();
        return connection;
    }

    public void Forget(ControlConnection connection)
    {
        _connections.Remove(connection);
        // Nobody will ever ask for a container again whose creation nobody waits for.
        if (_connections.Count == 0 && _state == ShimState.Empty) _loop.Stopped = true;
    }

    public void OnReady(uint events)
    {
        var accepted = SocketCalls.Accept(_listener!.Value);
        if (accepted < 0) return;
        var socket = new SafeFd((int)accepted);
        var peer = SocketCalls.GetPeer(socket);
        if (peer.uid != 0 && peer.uid != ProcessCalls.GetEffectiveUser())
        {
            socket.Dispose();
            return;
        }

        Adopt(socket);
    }

    /// <summary>Does what one frame asks; what goes wrong is the answer.</summary>
    public void Handle(ControlConnection connection, byte[] frame)
    {
        var tag = 0u;
        try
        {
            var reader = new FrameReader(frame);
            tag = reader.Tag;
            if (IsCreating && reader.Kind is FrameKind.Attach or FrameKind.Start) _awaiting.Enqueue((connection, frame));
            else Dispatch(connection, ref reader);
        }
        catch (Exception error) when (error is HullException or ArgumentException or InvalidOperationException)
        {
            connection.SendError(tag, error);
        }
    }

    private void Dispatch(ControlConnection connection, ref FrameReader frame)
    {
        switch (frame.Kind)
        {
            case FrameKind.Hello:
                connection.WantsEvents = true;
                connection.Send(new FrameWriter(FrameKind.Hello, frame.Tag).Write(Wire.Version));
                break;
            case FrameKind.Create:
                Create(connection, frame.Tag, CreateMessage.Read(ref frame));
                break;
            case FrameKind.Start:
                Start(connection, frame.Tag);
                break;
            case FrameKind.Exec:
                Exec(connection, frame.Tag, ExecMessage.Read(ref frame));
                break;
            case FrameKind.Signal:
                Find(frame.ReadText()).Signal(frame.ReadInt32());
                connection.Send(new FrameWriter(FrameKind.Ok, frame.Tag));
                break;
            case FrameKind.Resize:
                Find(frame.ReadText()).Streams.Resize(frame.ReadInt32(), frame.ReadInt32());
                connection.Send(new FrameWriter(FrameKind.Ok, frame.Tag));
                break;
            case FrameKind.Attach:
                AttachBy(connection, ref frame);
                break;
            case FrameKind.Status:
                connection.Send(Status().WriteTo(new FrameWriter(FrameKind.Status, frame.Tag)));
                break;
            case FrameKind.Shutdown:
                Shutdown(connection, frame.Tag);
                break;
            case FrameKind.Warm:
                Warm(connection, frame.Tag, frame.ReadText(), frame.ReadText());
                break;
            default:
                throw HullException.Unsupported($"this shim does not know the request {(int)frame.Kind}: it is older than the engine");
        }
    }

    /// <summary>Nobody waits for this: all others come first.</summary>
    private void Warm(ControlConnection connection, uint tag, string program, string request)
    {
        if (_state != ShimState.Empty || _create is not null || _warm is not null) throw HullException.Conflict("the shim has its instance already");
        ProcessPriority.Set(ProcessPriority.Lowest);
        try
        {
            _warm = ResidentProgram.Spawn(_loop, _reaper, program, request);
        }
        finally
        {
            ProcessPriority.Set(ProcessPriority.Normal);
        }

        _warm.Expect(error =>
        {
            if (error is null) connection.Send(new FrameWriter(FrameKind.Ok, tag));
            else connection.SendError(tag, error);
        });
    }

    private ShimProcess Find(string execId)
    {
        if (execId.Length == 0) return _init ?? throw HullException.Conflict("the instance is not created yet");
        return _execs.TryGetValue(execId, out var exec) ? exec : throw HullException.NotFound($"no exec {execId}");
    }

    /// <summary>Streams go over the connection that came with the request, where one did, else over that of the request.</summary>
    private void AttachBy(ControlConnection connection, ref FrameReader frame)
    {
        var (execId, selection) = (frame.ReadText(), frame.ReadInt32());
        if (connection.TakeDescriptor() is not { } socket)
        {
            Attach(connection, frame.Tag, execId, selection);
            return;
        }

        var given = Adopt(socket);
        try
        {
            Attach(given, frame.Tag, execId, selection);
        }
        catch
        {
            given.Close();
            throw;
        }
    }

    private void Attach(ControlConnection connection, uint tag, string execId, int selection)
    {
        var process = Find(execId);
        connection.Send(new FrameWriter(FrameKind.Ok, tag).Write(process.Streams.HasTerminal));
        if (process.Finished) connection.Close();
        else connection.BecomeAttachment(process.Streams, selection);
    }

    private StatusMessage Status() => new() { State = _state, Pid = _init?.Pid ?? 0, StartedAt = _startedAt };

    private void Shutdown(ControlConnection connection, uint tag)
    {
        connection.Send(new FrameWriter(FrameKind.Ok, tag));
        if (_init is { Status: null, Pid: > 0 }) _init.Signal(9);
        else if (_state is ShimState.Empty or ShimState.Created) CleanUp();
    }

    /// <summary>
    /// Gives back the memory that starting, making a container or an exec took, once things have been quiet for a second: what
    /// lives shorter never pays for it, and what lives long is small for all but its first moment.
    /// </summary>
    private void TrimLater()
    {
        _lastWork = Environment.TickCount64;
        if (_trimming) return;
        _trimming = true;
        _loop.After(TrimDelay, Trim);
    }

    private void Trim()
    {
        var left = _lastWork + TrimDelay - Environment.TickCount64;
        if (left > 0)
        {
            _loop.After((int)left, Trim);
            return;
        }

        _trimming = false;
        _buffer.Release();
        GC.Collect(GC.MaxGeneration, GCCollectionMode.Aggressive, blocking: true, compacting: true);
        MemoryCalls.TrimHeap();
        FilePages.Drop(data: false);
    }

    /// <summary>The shim ends when its container has, is cleaned up, and everything was handed on.</summary>
    private void AfterRound()
    {
        _reaper.Reap();
        // A short command may be over before the runtime program that started it: the start is still to be answered.
        if (!_cleaned || _starting) return;
        if (_init?.Streams.HasAttachments == true) return;
        foreach (var exec in _execs.Values)
        {
            if (exec.Streams.HasAttachments) return;
        }

        foreach (var connection in _connections)
        {
            if (connection.HasPending) return;
        }

        _loop.Stopped = true;
    }

    /// <summary>Moves into the instance's directory: its name on the command line, its log, its socket.</summary>
    private void Settle(string directory)
    {
        _directory = directory;
        CommandLine.ReplaceArgument(directory);
        using (var log = Check.Descriptor(
            FileCalls.OpenAt(Fcntl.AT_FDCWD, Path.Combine(directory, "shim.log"), Fcntl.O_WRONLY | Fcntl.O_CREAT | Fcntl.O_APPEND | Fcntl.O_NOFOLLOW, 0x180 /* 0600 */),
            $"open the shim's log in {directory}"))
        {
            Check.Result(FileCalls.Dup3(log.Value, 2, 0), $"write to the shim's log");
        }

        _listener = Listen(directory);
        _loop.Watch(_listener.Value, Waiting.EPOLLIN, this);
    }

    /// <summary>A path socket, for the owner alone: an abstract one could be reached from containers on the host's network (CVE-2020-15257).</summary>
    private static SafeFd Listen(string directory)
    {
        var path = Path.Combine(directory, Wire.SocketName);
        _ = FileCalls.UnlinkAt(Fcntl.AT_FDCWD, path);
        var socket = SocketCalls.Create(Sockets.AF_UNIX, Sockets.SOCK_STREAM | Sockets.SOCK_NONBLOCK);
        var mask = ProcessCalls.Umask(0x3F /* 077 */);
        Check.Result(SocketCalls.Bind(socket.Value, SocketCalls.UnixAddress(path)), $"bind {path}");
        _ = ProcessCalls.Umask(mask);
        Check.Result(SocketCalls.Listen(socket.Value, 128), $"listen on {path}");
        return socket;
    }
}
