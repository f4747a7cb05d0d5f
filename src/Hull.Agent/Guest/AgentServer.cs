using Hull.Agent.Protocol;
using Hull.Core;
using Hull.Linux.Abi;
using Hull.Linux.Virtualization;

namespace Hull.Agent.Guest;

/// <summary>Answers the host's requests; see <see cref="Frame"/> for the protocol.</summary>
internal sealed class AgentServer
{
    /// <summary>How often a port is looked at that nobody has open on the host. Only then is anything done by the clock.</summary>
    private const int ReconnectMilliseconds = 100;

    private readonly EventLoop _loop = new();
    private readonly AgentPort _control;
    private readonly AgentPort _data;
    private readonly StreamTable _streams;
    private readonly GuestContainers _containers;
    private uint? _quiescing;
    private bool _quiet;
    private bool _shutdown;

    /// <summary>Whether the last release went well: the host asks for a container before it has heard of that.</summary>
    private bool _released;

    public AgentServer(AgentPort control, AgentPort data)
    {
        _control = control;
        _data = data;
        _streams = new StreamTable(_loop, data);
        _containers = new GuestContainers(_loop, _streams, Report, ReportOutOfMemory);
        _loop.Add(new PortSource(control, () => _quiet, HandleControl));
        _loop.Add(new PortSource(data, () => _quiet, _streams.Handle));
    }

    /// <summary>Serves until the host asks for the machine to end.</summary>
    public void Run()
    {
        while (!_shutdown || _control.PendingBytes > 0)
        {
            _loop.RunOnce(_control.Connected && _data.Connected ? -1 : ReconnectMilliseconds);
            _containers.Reap();
            _control.Connected = _data.Connected = true;
            if (!_quiet || _shutdown) _control.Flush();
            if (!_quiet) _data.Flush();
            if (_quiescing is { } request && _streams.Marked && _control.PendingBytes == 0 && _data.PendingBytes == 0) FallSilent(request);
        }
    }

    /// <summary>All has been sent in both directions: marks it, answers, and sends nothing more.</summary>
    private void FallSilent(uint request)
    {
        (_quiescing, _streams.Marked) = (null, false);
        _data.Send(FrameKind.End, 0, Frame.MarkerStream, []);
        while (_data.PendingBytes > 0) _data.Flush();
        _control.Send(FrameKind.Response, (ushort)AgentOperation.Quiesce, request, []);
        while (_control.PendingBytes > 0) _control.Flush();
        _quiet = true;
    }

    private void Resume()
    {
        _quiet = false;
        _data.Held = false;
    }

    private void HandleControl(Frame frame)
    {
        if (frame.Kind != FrameKind.Request) return;
        try
        {
            var operation = (AgentOperation)frame.Code;
            var answer = Answer(operation, frame.Id, new WireReader(frame.Payload));
            if (operation != AgentOperation.Quiesce) _control.Send(FrameKind.Response, frame.Code, frame.Id, answer is null ? [] : answer.Written.Span);
        }
        catch (HullException failure)
        {
            Fail(frame.Id, failure.Kind, failure.FullMessage);
        }
        catch (Exception failure)
        {
            // One request must not end every container of this machine.
            Fail(frame.Id, ErrorKind.Internal, $"the guest agent failed: {failure.GetType().Name}: {failure.Message}");
        }
    }

    private void Fail(uint id, ErrorKind kind, string message) =>
        _control.Send(FrameKind.Failure, (ushort)kind, id, new WireWriter().Text(message).Written.Span);

    private WireWriter? Answer(AgentOperation operation, uint id, WireReader request)
    {
        switch (operation)
        {
            case AgentOperation.Hello:
                var hello = new WireWriter();
                new HelloReply(HelloReply.Current, GuestCalls.KernelRelease()).Write(hello);
                return hello;
            case AgentOperation.Release:
                Resume();
                _released = false;
                ReleaseGate.Pass(ReleaseRequest.Read(request));
                _released = true;
                return null;
            case AgentOperation.CreateContainer:
                RequireReleased();
                return new WireWriter().U32((uint)_containers.Create(CreateContainerRequest.Read(request)));
            case AgentOperation.StartContainer:
                _containers.Start(StartRequest.Read(request));
                return null;
            case AgentOperation.Exec:
                return new WireWriter().U32((uint)_containers.Exec(ExecRequest.Read(request)));
            case AgentOperation.Signal:
                _containers.Signal(SignalRequest.Read(request));
                return null;
            case AgentOperation.Resize:
                _containers.Resize(ResizeRequest.Read(request));
                return null;
            case AgentOperation.DeleteContainer:
                _containers.Delete(ProcessTarget.Read(request).Id);
                return null;
            case AgentOperation.PauseContainer:
                _containers.Pause(ProcessTarget.Read(request).Id);
                return null;
            case AgentOperation.ResumeContainer:
                _containers.Resume(ProcessTarget.Read(request).Id);
                return null;
            case AgentOperation.ConfigureNetwork:
                GuestNetwork.Configure(NetworkSetup.Read(request));
                return null;
            case AgentOperation.PrepareDisks:
                _containers.PrepareDisks(request.Text());
                return null;
            case AgentOperation.Archive:
                return new WireWriter().U32((uint)_containers.Archive(ArchiveRequest.Read(request)));
            case AgentOperation.Statistics:
                return GuestStatistics.Read(_containers.Require(ProcessTarget.Read(request).Id)).Write(new WireWriter());
            case AgentOperation.ListProcesses:
                return new WireWriter().List(GuestStatistics.Processes(_containers.Require(ProcessTarget.Read(request).Id)), static (w, p) => p.Write(w));
            case AgentOperation.UpdateContainer:
                var update = UpdateContainerRequest.Read(request);
                GuestStatistics.Update(update with { Id = _containers.Require(update.Id) });
                return null;
            case AgentOperation.Quiesce:
                // Answered when all that was under way has been sent.
                _data.Held = true;
                _containers.Freeze();
                _quiescing = id;
                return null;
            case AgentOperation.Continue:
                Resume();
                _containers.Thaw();
                return null;
            case AgentOperation.Adopt:
                RequireReleased();
                return new WireWriter().U32((uint)_containers.Adopt(AdoptRequest.Read(request)));
            case AgentOperation.Shutdown:
                _shutdown = true;
                return null;
            default:
                throw HullException.Unsupported($"the guest agent does not know operation {(ushort)operation}");
        }
    }

    private void RequireReleased()
    {
        if (!_released) throw HullException.Conflict("this machine has not passed its release gate");
    }

    private void Report(ProcessExit exit)
    {
        var writer = new WireWriter();
        exit.Write(writer);
        _control.Send(FrameKind.Event, (ushort)AgentEvent.ProcessExited, 0, writer.Written.Span);
    }

    private void ReportOutOfMemory(string container) =>
        _control.Send(FrameKind.Event, (ushort)AgentEvent.OutOfMemory, 0, new WireWriter().Text(container).Written.Span);

    private sealed class PortSource(AgentPort port, Func<bool> quiet, Action<Frame> handle) : IEventSource
    {
        public int Descriptor => port.Descriptor;

        public short Interest => !port.Connected ? (short)0
            : (short)(Waiting.POLLIN | (port.PendingBytes > 0 && !quiet() ? Waiting.POLLOUT : 0));

        public void Ready(short events)
        {
            if ((events & Waiting.POLLIN) != 0) port.Receive(handle);
            else if ((events & Waiting.POLLHUP) != 0) port.Connected = false;
        }
    }
}
