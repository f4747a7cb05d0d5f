using System.Text;
using Hull.Core;
using Hull.Linux;
using Hull.Linux.Abi;
using Hull.Linux.Files;
using Hull.Linux.Processes;
using Hull.Linux.Syscalls;
using Hull.Shim.Logging;
using Hull.Shim.Protocol;
using Hull.Shim.Runtimes;
using Hull.Shim.Streams;

namespace Hull.Shim;

/// <summary>From creation to the end.</summary>
internal sealed partial class Supervisor
{
    private void Create(ControlConnection connection, uint tag, CreateMessage create)
    {
        if (_state != ShimState.Empty || _create is not null) throw HullException.Conflict("the shim has its instance already");
        _create = create;
        Settle(create.Bundle);
        using (var root = create.IsResident ? null : connection.TakeDescriptor()) RootMount.Attach(create.Bundle, root);
        _log = LogSink.Open(create.Log);
        _runtime = RuntimeFor(create);
        var streams = new ProcessStreams(_loop, _log, _buffer) { HasTerminal = create.Terminal, InputOnce = create.InputOnce };
        var pipes = create.Terminal ? null : new StdioPipes(create.OpenInput);
        _runtime.Create(pipes, Created);

        void Created(Exception? error, StartedProcess started)
        {
            if (error is not null && _warm is { HasEnded: true } && ReferenceEquals(_runtime, _warm))
            {
                // What was made ready died just now: it is done without.
                _warm = null;
                _runtime = RuntimeFor(create);
                _runtime.Create(pipes, Created);
                return;
            }

            if (error is not null)
            {
                pipes?.Dispose();
                // The runtime shares the container's error stream until user code runs: what it said there is no log.
                connection.SendError(tag, error);
                CleanUp();
                return;
            }

            _init = new ShimProcess("", streams) { Pid = started.Pid };
            _state = ShimState.Created;
            Connect(streams, pipes, started, create.Columns, create.Rows);
            _reaper.Watch(started.Pid, status => OnExit(_init, status));
            _mounts = HoldMounts(started.Pid);
            _oom = OomNotice.Start(_loop, create.OomFile, TellOutOfMemory);
            connection.Send(new FrameWriter(FrameKind.Ok, tag).Write(started.Pid));
            // Before the first output is read.
            while (_awaiting.TryDequeue(out var next)) Handle(next.Connection, next.Frame);
        }
    }

    /// <summary>
    /// The mount namespace of the init, which would be taken apart by its last process before that one's parent hears of its end:
    /// it is done behind the announcement, by this process.
    /// </summary>
    private static SafeFd? HoldMounts(int pid)
    {
        var opened = FileCalls.OpenAt(Fcntl.AT_FDCWD, $"/proc/{pid}/ns/mnt", Fcntl.O_RDONLY);
        return opened < 0 ? null : new SafeFd((int)opened);
    }

    private void Start(ControlConnection connection, uint tag)
    {
        if (_state != ShimState.Created || _runtime is null) throw HullException.Conflict("the instance was started already or has ended");
        _startedAt = ClockCalls.RealTime();
        _starting = true;
        _runtime.Start(error =>
        {
            _starting = false;
            if (error is not null)
            {
                connection.SendError(tag, error);
                if (_init is { Status: null }) _init.Signal(9);
                return;
            }

            if (_state == ShimState.Created) _state = ShimState.Running;
            TrimLater();
            connection.Send(new FrameWriter(FrameKind.Ok, tag).Write(_startedAt));
        });
    }

    private void Exec(ControlConnection connection, uint tag, ExecMessage message)
    {
        if (_state != ShimState.Running || _runtime is null) throw HullException.Conflict("the instance does not run");
        ForgetEndedExecs();
        if (_execs.ContainsKey(message.ExecId)) throw HullException.Exists($"exec {message.ExecId} exists already");
        var streams = new ProcessStreams(_loop, new NullLog(), _buffer) { HasTerminal = message.Terminal, InputOnce = true };
        var exec = new ShimProcess(message.ExecId, streams);
        var pipes = message.Terminal ? null : new StdioPipes(message.OpenInput);
        _runtime.Exec(message, pipes, (error, started) =>
        {
            if (error is not null)
            {
                pipes?.Dispose();
                connection.SendError(tag, error);
                return;
            }

            exec.Pid = started.Pid;
            _execs.Add(exec.ExecId, exec);
            connection.Send(new FrameWriter(FrameKind.Ok, tag).Write(started.Pid));
            // Before the pipes are watched: the attachment is to have the first byte.
            if (message.Streams != 0) connection.BecomeAttachment(streams, message.Streams);
            Connect(streams, pipes, started, message.Columns, message.Rows);
            _reaper.Watch(started.Pid, status => OnExit(exec, status));
        });
    }

    /// <summary>
    /// Whoever asks for a further exec was told of the end of those before it: health checks alone would fill the memory with them.
    /// </summary>
    private void ForgetEndedExecs()
    {
        foreach (var (id, exec) in _execs)
        {
            if (exec.Finished && !exec.Streams.HasAttachments) _execs.Remove(id);
        }
    }

    private static void Connect(ProcessStreams streams, StdioPipes? pipes, StartedProcess started, int columns, int rows)
    {
        pipes?.GiveTo(streams);
        if (started.Terminal is null) return;
        streams.UseTerminal(started.Terminal);
        streams.Resize(columns, rows);
    }

    private void OnExit(ShimProcess process, ExitStatus status)
    {
        process.Status = status;
        process.ExitedAt = ClockCalls.RealTime();
        // All writers are gone with an init; an exec's children may live on and keep its outputs.
        if (process.Streams.Drain()) Finish(process);
        else _loop.After(DrainGrace, () => Finish(process));
    }

    private void Finish(ShimProcess process)
    {
        if (process.Finished) return;
        process.Streams.Drain();
        process.Finished = true;
        if (process.ExecId.Length == 0) FinishInit(process);
        else Announce(process, outOfMemory: false);
        TrimLater();
        process.Streams.Finish();
        if (process.ExecId.Length == 0) CleanUp();
    }

    private void FinishInit(ShimProcess init)
    {
        _oom?.Silence();
        // Any process of the instance may have been the victim, as with Docker.
        var outOfMemory = KilledForMemory();
        _init!.Streams.FlushLog();
        // The record is in the kernel's hands then, so no kill can lose it. The disk is not waited for, here or in the
        // engine's own state: after a power failure the exit code of what ran is the least concern, and a flush makes
        // everybody else's changes of the file system wait as well.
        WriteExitRecord(init, outOfMemory);
        _state = ShimState.Exited;
        Announce(init, outOfMemory);
    }

    private void TellOutOfMemory()
    {
        foreach (var connection in _connections.ToArray())
        {
            if (connection.WantsEvents) connection.Send(new FrameWriter(FrameKind.OutOfMemory, 0));
        }
    }

    private void Announce(ShimProcess process, bool outOfMemory)
    {
        foreach (var connection in _connections.ToArray())
        {
            if (!connection.WantsEvents) continue;
            connection.Send(new FrameWriter(FrameKind.Exited, 0)
                .Write(process.ExecId).Write(process.Status!.Value.ShellCode).Write(process.ExitedAt).Write(outOfMemory));
        }
    }

    private bool KilledForMemory()
    {
        if (_create!.OomFile.Length == 0) return false;
        try
        {
            // Both versions of cgroups have a line "oom_kill N" in the file the engine named.
            var text = Encoding.ASCII.GetString(AtomicFile.Read(_create.OomFile, 4096));
            var key = text.IndexOf("oom_kill ", StringComparison.Ordinal);
            return key >= 0 && text[key + 9] != '0';
        }
        catch (HullException)
        {
            return false;
        }
    }

    /// <summary>For the engine, which may be dead now: read by <c>ExitRecord</c> there.</summary>
    private void WriteExitRecord(ShimProcess init, bool outOfMemory)
    {
        var text = Encoding.ASCII.GetBytes($"{{\"code\":{init.Status!.Value.ShellCode},\"at\":{init.ExitedAt},\"startedAt\":{_startedAt},\"outOfMemory\":{(outOfMemory ? "true" : "false")}}}\n");
        try
        {
            AtomicFile.Write(Path.Combine(_create!.StateDirectory, Wire.ExitRecordName), text, durable: false);
        }
        catch (HullException error) when (error.Kind == ErrorKind.ResourceExhausted)
        {
            WriteExitRecordBeside(text);
        }
        catch (HullException)
        {
            // The directory is gone with the workload: whoever is connected is still told.
        }
    }

    /// <summary>The disk with the state is full; runtime files are on another one as a rule.</summary>
    private void WriteExitRecordBeside(byte[] text)
    {
        try
        {
            AtomicFile.Write(Path.Combine(_directory, Wire.ExitRecordName), text, durable: false);
        }
        catch (HullException)
        {
            // Full too: whoever is connected is still told.
        }
    }

    private void CleanUp()
    {
        _mounts?.Dispose();
        if (_runtime is null)
        {
            _cleaned = true;
            return;
        }

        _runtime.Delete(() => _cleaned = true);
    }

    private IContainerRuntime RuntimeFor(CreateMessage create)
    {
        if (create.Runtime.Length == 0) return new LibraryRuntime(create);
        return !create.IsResident ? new OciProgram(create, _directory, _reaper)
            : (_warm is { HasEnded: false } warm ? warm : ResidentProgram.Spawn(_loop, _reaper, create.Runtime)).For(create, _directory);
    }
}
