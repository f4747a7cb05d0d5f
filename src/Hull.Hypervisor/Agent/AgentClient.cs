using System.Buffers.Binary;
using System.Collections.Concurrent;
using Hull.Agent.Protocol;
using Hull.Runtime;

namespace Hull.Hypervisor.Agent;

/// <summary>
/// The host's end of the agent protocol (see <see cref="Frame"/>) of one machine. Requests may be made from several
/// threads. When the machine goes away, everything that waits fails with <see cref="ErrorKind.Unavailable"/> and all
/// streams end.
/// </summary>
public sealed class AgentClient : IAsyncDisposable
{
    /// <summary>A guest in emulation on a loaded host may take seconds for what takes milliseconds elsewhere.</summary>
    public static readonly TimeSpan DefaultTimeout = TimeSpan.FromSeconds(120);

    private readonly Stream _control;
    private readonly Stream _data;
    private readonly SemaphoreSlim _controlWriting = new(1, 1);
    private readonly SemaphoreSlim _dataWriting = new(1, 1);
    private readonly ConcurrentDictionary<uint, TaskCompletionSource<byte[]>> _pending = new();
    private readonly ConcurrentDictionary<uint, AgentStream> _streams = new();
    private readonly ConcurrentDictionary<ProcessTarget, TaskCompletionSource<ProcessExit>> _exits = new();
    private readonly CancellationTokenSource _closing = new();
    private readonly Task _receiving;
    private uint _nextRequest;
    private uint _nextStream;
    private TaskCompletionSource? _marked;

    /// <param name="firstStream">
    /// For a machine made from a saved one, whose ports may still hold frames for streams of its old host: a number far from theirs.
    /// </param>
    public AgentClient(Stream control, Stream data, uint firstStream = 0)
    {
        _nextStream = firstStream;
        _control = control;
        _data = data;
        _receiving = Task.WhenAll(ReceiveAsync(control, HandleControl), ReceiveAsync(data, HandleData));
    }

    /// <summary>Completes when the machine's end of either port is gone.</summary>
    public Task Closed => _receiving;

    public async Task<HelloReply> HelloAsync(TimeSpan? timeout = null, CancellationToken cancellationToken = default)
    {
        var reply = HelloReply.Read(await RequestAsync(AgentOperation.Hello, null, timeout, cancellationToken).ConfigureAwait(false));
        return reply.ProtocolVersion == HelloReply.Current
            ? reply
            : throw HullException.Unsupported($"the guest agent speaks protocol {reply.ProtocolVersion}, this engine {HelloReply.Current}");
    }

    /// <summary>Passes the release gate with the time and the random bytes of this moment.</summary>
    public Task ReleaseAsync(ReleaseRequest request, CancellationToken cancellationToken = default) =>
        RequestAsync(AgentOperation.Release, request.Write, null, cancellationToken);

    /// <summary>Answers the process id of the init in the guest.</summary>
    public async Task<int> CreateContainerAsync(CreateContainerRequest request, CancellationToken cancellationToken = default)
    {
        ExpectExit(new ProcessTarget(request.Id, ""));
        return (int)(await RequestAsync(AgentOperation.CreateContainer, request.Write, null, cancellationToken).ConfigureAwait(false)).U32();
    }

    /// <param name="program">The program, where the container was created without one.</param>
    public Task StartContainerAsync(string id, ContainerProgram? program = null, CancellationToken cancellationToken = default) =>
        RequestAsync(AgentOperation.StartContainer, new StartRequest(id, program?.Arguments ?? [], program?.Environment ?? []).Write, null, cancellationToken);

    public async Task<int> ExecAsync(ExecRequest request, CancellationToken cancellationToken = default)
    {
        ExpectExit(new ProcessTarget(request.Id, request.ExecId));
        return (int)(await RequestAsync(AgentOperation.Exec, request.Write, null, cancellationToken).ConfigureAwait(false)).U32();
    }

    public Task SignalAsync(SignalRequest request, CancellationToken cancellationToken = default) =>
        RequestAsync(AgentOperation.Signal, request.Write, null, cancellationToken);

    public Task ResizeAsync(ResizeRequest request, CancellationToken cancellationToken = default) =>
        RequestAsync(AgentOperation.Resize, request.Write, null, cancellationToken);

    public Task DeleteContainerAsync(string id, CancellationToken cancellationToken = default) =>
        RequestAsync(AgentOperation.DeleteContainer, new ProcessTarget(id, "").Write, null, cancellationToken);

    public async Task<StatisticsReply> StatisticsAsync(string id, CancellationToken cancellationToken = default) =>
        StatisticsReply.Read(await RequestAsync(AgentOperation.Statistics, new ProcessTarget(id, "").Write, null, cancellationToken).ConfigureAwait(false));

    public async Task<IReadOnlyList<GuestProcess>> ProcessesAsync(string id, CancellationToken cancellationToken = default) =>
        (await RequestAsync(AgentOperation.ListProcesses, new ProcessTarget(id, "").Write, null, cancellationToken).ConfigureAwait(false)).List(GuestProcess.Read);

    public Task UpdateContainerAsync(UpdateContainerRequest request, CancellationToken cancellationToken = default) =>
        RequestAsync(AgentOperation.UpdateContainer, request.Write, null, cancellationToken);

    /// <summary>Begins a copy of files; its end is waited for as an exec's is.</summary>
    public Task ArchiveAsync(ArchiveRequest request, CancellationToken cancellationToken = default)
    {
        ExpectExit(request.Target);
        return RequestAsync(AgentOperation.Archive, request.Write, null, cancellationToken);
    }

    /// <summary>For a template: mounts the writable disk ahead of its use, with nothing written to it.</summary>
    public Task PrepareDisksAsync(string writableDisk, CancellationToken cancellationToken = default) =>
        RequestAsync(AgentOperation.PrepareDisks, writer => writer.Text(writableDisk), null, cancellationToken);

    /// <summary>
    /// Has both sides fall silent at a frame boundary and the guest's containers stop; then its machine can be saved or
    /// duplicated. Until <see cref="ContinueAsync"/> everything that is sent waits.
    /// </summary>
    public async Task QuiesceAsync(CancellationToken cancellationToken = default)
    {
        await _dataWriting.WaitAsync(cancellationToken).ConfigureAwait(false);
        await _controlWriting.WaitAsync(cancellationToken).ConfigureAwait(false);
        try
        {
            var marked = _marked = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
            await WriteAsync(_data, FrameKind.Reset, 0, Frame.MarkerStream, default).ConfigureAwait(false);
            await AskHeldAsync(AgentOperation.Quiesce, cancellationToken).ConfigureAwait(false);
            await marked.Task.WaitAsync(DefaultTimeout, cancellationToken).ConfigureAwait(false);
        }
        catch
        {
            _controlWriting.Release();
            _dataWriting.Release();
            throw;
        }
    }

    /// <summary>Ends what <see cref="QuiesceAsync"/> began, in the machine that was asked for it.</summary>
    public async Task ContinueAsync(CancellationToken cancellationToken = default)
    {
        try
        {
            await AskHeldAsync(AgentOperation.Continue, cancellationToken).ConfigureAwait(false);
        }
        finally
        {
            _controlWriting.Release();
            _dataWriting.Release();
        }
    }

    /// <summary>After the release of a machine made from a saved one: takes its container over, which stays frozen.</summary>
    public async Task<int> AdoptAsync(AdoptRequest request, CancellationToken cancellationToken = default)
    {
        ExpectExit(new ProcessTarget(request.Id, ""));
        return (int)(await RequestAsync(AgentOperation.Adopt, request.Write, null, cancellationToken).ConfigureAwait(false)).U32();
    }

    public Task ResumeContainerAsync(string id, CancellationToken cancellationToken = default) =>
        RequestAsync(AgentOperation.ResumeContainer, new ProcessTarget(id, "").Write, null, cancellationToken);

    public Task ShutdownAsync(CancellationToken cancellationToken = default) =>
        RequestAsync(AgentOperation.Shutdown, null, null, cancellationToken);

    /// <summary>The guest's kernel has killed processes of the container with this id for memory.</summary>
    public event Action<string>? OutOfMemory;

    /// <summary>How a process ended; for one that was created or executed by this client.</summary>
    public Task<ProcessExit> WaitForExitAsync(ProcessTarget target, CancellationToken cancellationToken = default) =>
        ExpectExit(target).Task.WaitAsync(cancellationToken);

    /// <summary>A stream to name in a request. Open it before the request, so that no byte finds nobody.</summary>
    public AgentStream OpenStream()
    {
        var stream = new AgentStream(Interlocked.Increment(ref _nextStream), SendDataAsync, id => _streams.TryRemove(id, out _));
        _streams[stream.Id] = stream;
        return stream;
    }

    /// <summary>Makes one request and waits for its answer.</summary>
    public async Task<WireReader> RequestAsync(AgentOperation operation, Func<WireWriter, WireWriter>? write,
        TimeSpan? timeout, CancellationToken cancellationToken)
    {
        var payload = new WireWriter();
        write?.Invoke(payload);
        var id = Interlocked.Increment(ref _nextRequest);
        var answer = new TaskCompletionSource<byte[]>(TaskCreationOptions.RunContinuationsAsynchronously);
        _pending[id] = answer;
        try
        {
            if (_receiving.IsCompleted) throw Gone();
            await SendAsync(_control, _controlWriting, FrameKind.Request, (ushort)operation, id, payload.Written, cancellationToken).ConfigureAwait(false);
            return new WireReader(await answer.Task.WaitAsync(timeout ?? DefaultTimeout, cancellationToken).ConfigureAwait(false));
        }
        catch (TimeoutException cause)
        {
            throw new HullException(ErrorKind.Timeout, $"the guest agent did not answer {operation} in time", cause);
        }
        catch (IOException cause)
        {
            throw new HullException(ErrorKind.Unavailable, $"the machine went away during {operation}", cause);
        }
        finally
        {
            _pending.TryRemove(id, out _);
        }
    }

    public async ValueTask DisposeAsync()
    {
        await _closing.CancelAsync().ConfigureAwait(false);
        await _control.DisposeAsync().ConfigureAwait(false);
        await _data.DisposeAsync().ConfigureAwait(false);
        await _receiving.ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        _controlWriting.Dispose();
        _dataWriting.Dispose();
        _closing.Dispose();
    }

    private static HullException Gone() => new(ErrorKind.Unavailable, "the machine is gone");

    private TaskCompletionSource<ProcessExit> ExpectExit(ProcessTarget target) =>
        _exits.GetOrAdd(target, static _ => new TaskCompletionSource<ProcessExit>(TaskCreationOptions.RunContinuationsAsynchronously));

    private Task SendDataAsync(FrameKind kind, uint stream, ReadOnlyMemory<byte> payload, CancellationToken cancellationToken) =>
        SendAsync(_data, _dataWriting, kind, 0, stream, payload, cancellationToken);

    private async Task SendAsync(Stream port, SemaphoreSlim writing, FrameKind kind, ushort code, uint id,
        ReadOnlyMemory<byte> payload, CancellationToken cancellationToken)
    {
        await writing.WaitAsync(cancellationToken).ConfigureAwait(false);
        try
        {
            await WriteAsync(port, kind, code, id, payload).ConfigureAwait(false);
        }
        finally
        {
            writing.Release();
        }
    }

    private async Task WriteAsync(Stream port, FrameKind kind, ushort code, uint id, ReadOnlyMemory<byte> payload)
    {
        var frame = new byte[Frame.HeaderLength + payload.Length];
        Frame.WriteHeader(frame, kind, code, id, payload.Length);
        payload.CopyTo(frame.AsMemory(Frame.HeaderLength));
        // A frame once begun is finished, or every later one would be misread.
        await port.WriteAsync(frame, _closing.Token).ConfigureAwait(false);
    }

    /// <summary>A request without arguments by whoever holds the control port.</summary>
    private async Task AskHeldAsync(AgentOperation operation, CancellationToken cancellationToken)
    {
        var id = Interlocked.Increment(ref _nextRequest);
        var answer = _pending[id] = new TaskCompletionSource<byte[]>(TaskCreationOptions.RunContinuationsAsynchronously);
        if (_receiving.IsCompleted) throw Gone();
        await WriteAsync(_control, FrameKind.Request, (ushort)operation, id, default).ConfigureAwait(false);
        await answer.Task.WaitAsync(DefaultTimeout, cancellationToken).ConfigureAwait(false);
    }

    private async Task ReceiveAsync(Stream port, Action<Frame> handle)
    {
        var decoder = new FrameDecoder();
        try
        {
            while (true)
            {
                var count = await port.ReadAsync(decoder.GetBuffer(), _closing.Token).ConfigureAwait(false);
                if (count == 0) break;
                decoder.Advance(count);
                while (decoder.TryRead(out var frame)) handle(frame);
            }
        }
        catch (Exception cause) when (cause is IOException or OperationCanceledException or ObjectDisposedException or HullException)
        {
            // Whatever ended it, the machine is of no use any more; what waits learns it below.
        }

        foreach (var waiting in _pending.Values) waiting.TrySetException(Gone());
        foreach (var exit in _exits.Values) exit.TrySetException(Gone());
        foreach (var stream in _streams.Values) stream.Complete();
    }

    private void HandleControl(Frame frame)
    {
        switch (frame.Kind)
        {
            case FrameKind.Response when _pending.TryRemove(frame.Id, out var waiting):
                waiting.TrySetResult(frame.Payload.ToArray());
                break;
            case FrameKind.Failure when _pending.TryRemove(frame.Id, out var failing):
                failing.TrySetException(new HullException((ErrorKind)frame.Code, new WireReader(frame.Payload).Text()));
                break;
            case FrameKind.Event when frame.Code == (ushort)AgentEvent.ProcessExited:
                var exit = ProcessExit.Read(new WireReader(frame.Payload));
                ExpectExit(exit.Target).TrySetResult(exit);
                break;
            case FrameKind.Event when frame.Code == (ushort)AgentEvent.OutOfMemory:
                OutOfMemory?.Invoke(new WireReader(frame.Payload).Text());
                break;
        }
    }

    private void HandleData(Frame frame)
    {
        if (frame is { Kind: FrameKind.End, Id: Frame.MarkerStream }) _marked?.TrySetResult();
        if (!_streams.TryGetValue(frame.Id, out var stream)) return;
        switch (frame.Kind)
        {
            case FrameKind.Data: stream.Receive(frame.Payload); break;
            case FrameKind.End or FrameKind.Reset: stream.Complete(); break;
            case FrameKind.Credit when frame.Payload.Length == 4:
                stream.Grant((int)Math.Min(BinaryPrimitives.ReadUInt32LittleEndian(frame.Payload.Span), Frame.InitialCredit));
                break;
        }
    }
}
