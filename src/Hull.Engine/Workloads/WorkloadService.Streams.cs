using System.Runtime.CompilerServices;
using Hull.Core;
using Hull.Engine.Drivers;
using Hull.Engine.Logs;

namespace Hull.Engine.Workloads;

/// <summary>Waiting, attaching, logs, usage.</summary>
internal sealed partial class WorkloadService
{
    private const string DefaultDetachKeys = "ctrl-p,ctrl-q";

    public WaitRegistration Wait(string workload, WaitCondition condition) => Get(workload).Register(condition);

    public async Task<IAttachment> AttachAsync(string workload, AttachRequest request, CancellationToken cancellationToken)
    {
        var target = Get(workload);
        if (target.State.Status == WorkloadStatus.Paused) throw HullException.Conflict($"{target.Name} is paused, unpause it first");
        var keys = DetachKeysAttachment.Parse(request.DetachKeys ?? DefaultDetachKeys);
        IAttachment? live = request.Stream ? await ConnectAsync(target, request.Streams, cancellationToken).ConfigureAwait(false) : null;
        if (request.Logs) live = new LogsThenLive(LogsAsync(workload, new LogQuery { Streams = request.Streams }, cancellationToken), live, target.Record.Config.Process.Terminal);
        live ??= new LogsThenLive(LogsThenLive.NoLogs(), null, target.Record.Config.Process.Terminal);
        Publish(target, "attach");
        return keys.Length > 0 && live.Terminal ? new DetachKeysAttachment(live, keys, () => Publish(target, "detach")) : live;
    }

    /// <summary>To what runs, or to what will: between the two, the gate decides.</summary>
    private static async Task<IAttachment> ConnectAsync(Workload workload, StreamSelection streams, CancellationToken cancellationToken)
    {
        var config = workload.Record.Config.Process;
        if (!config.OpenInput) streams &= ~StreamSelection.Input;
        return await ChangeAsync(workload, async () =>
        {
            if (workload.State.IsRunning && workload.Instance is { } instance)
            {
                try
                {
                    return await instance.AttachAsync(streams, cancellationToken).ConfigureAwait(false);
                }
                catch (HullException error) when (error.Kind == ErrorKind.Unavailable)
                {
                    return new LogsThenLive(LogsThenLive.NoLogs(), null, config.Terminal);
                }
            }

            var deferred = new DeferredAttachment(streams, config.Terminal, one => Forget(workload, one));
            lock (workload.Attachments) workload.Attachments.Add(deferred);
            return (IAttachment)deferred;
        }, cancellationToken).ConfigureAwait(false);
    }

    private static void Forget(Workload workload, DeferredAttachment attachment)
    {
        lock (workload.Attachments) workload.Attachments.Remove(attachment);
    }

    public async Task ResizeAsync(string workload, int columns, int rows, CancellationToken cancellationToken)
    {
        var target = Get(workload);
        await target.RequireRunning().ResizeAsync(columns, rows, cancellationToken).ConfigureAwait(false);
        Publish(target, "resize", ("width", columns.ToString(System.Globalization.CultureInfo.InvariantCulture)),
            ("height", rows.ToString(System.Globalization.CultureInfo.InvariantCulture)));
    }

    public IAsyncEnumerable<LogEntry> LogsAsync(string workload, LogQuery query, CancellationToken cancellationToken)
    {
        var target = Get(workload);
        if (query.Streams is StreamSelection.None or StreamSelection.Input)
            throw HullException.Invalid("you must choose at least one stream");
        var path = Path.Combine(_store.DirectoryOf(target.Id), LogSettings.FileName);
        return target.Record.LogDriver switch
        {
            "json-file" => LogReader.ReadAsync(path, new JsonFileFormat(), query, () => target.MayWrite, _services.Clock, cancellationToken),
            "local" => LogReader.ReadAsync(path, new LocalFormat(), query, () => target.MayWrite, _services.Clock, cancellationToken),
            var other => throw HullException.Unsupported($"configured logging driver does not support reading: {other}"),
        };
    }

    public async Task<StatsSample> StatsAsync(string workload, bool withPrevious, CancellationToken cancellationToken)
    {
        var target = Get(workload);
        var previous = withPrevious ? await SampleAsync(target, cancellationToken).ConfigureAwait(false) : null;
        if (withPrevious && target.State.IsRunning) await Task.Delay(TimeSpan.FromSeconds(1), _services.Clock, cancellationToken).ConfigureAwait(false);
        return new StatsSample(target.Id, target.Name, await SampleAsync(target, cancellationToken).ConfigureAwait(false), previous);
    }

    public IAsyncEnumerable<StatsSample> StatsStreamAsync(string workload, CancellationToken cancellationToken) =>
        StatsStreamAsync(Get(workload), cancellationToken);

    private async IAsyncEnumerable<StatsSample> StatsStreamAsync(Workload workload, [EnumeratorCancellation] CancellationToken cancellationToken)
    {
        InstanceStats? previous = null;
        while (!workload.Removed)
        {
            var current = await SampleAsync(workload, cancellationToken).ConfigureAwait(false);
            yield return new StatsSample(workload.Id, workload.Name, current, previous);
            previous = current;
            await Task.Delay(TimeSpan.FromSeconds(1), _services.Clock, cancellationToken).ConfigureAwait(false);
        }
    }

    private async Task<InstanceStats> SampleAsync(Workload workload, CancellationToken cancellationToken)
    {
        if (!workload.State.IsRunning || workload.Instance is not { } instance) return new InstanceStats { ReadAt = Now };
        try
        {
            return await instance.StatsAsync(cancellationToken).ConfigureAwait(false);
        }
        catch (HullException error) when (error.Kind is ErrorKind.Conflict or ErrorKind.NotFound)
        {
            return new InstanceStats { ReadAt = Now };
        }
    }
}

/// <summary>What was logged, then what comes.</summary>
internal sealed class LogsThenLive(IAsyncEnumerable<LogEntry> logs, IAttachment? live, bool terminal) : IAttachment
{
    private readonly IAsyncEnumerator<LogEntry> _logs = logs.GetAsyncEnumerator();
    private LogEntry _entry;
    private int _offset;
    private bool _logsDone;

    public bool Terminal => terminal;

    public static async IAsyncEnumerable<LogEntry> NoLogs()
    {
        await Task.CompletedTask.ConfigureAwait(false);
        yield break;
    }

    public async ValueTask<OutputChunk> ReadAsync(Memory<byte> buffer, CancellationToken cancellationToken)
    {
        while (!_logsDone)
        {
            if (_offset < _entry.Bytes.Length)
            {
                var count = Math.Min(buffer.Length, _entry.Bytes.Length - _offset);
                _entry.Bytes.Slice(_offset, count).CopyTo(buffer);
                _offset += count;
                return new OutputChunk(_entry.Stream, count);
            }

            _logsDone = !await _logs.MoveNextAsync().ConfigureAwait(false);
            if (!_logsDone) (_entry, _offset) = (_logs.Current, 0);
        }

        return live is null ? default : await live.ReadAsync(buffer, cancellationToken).ConfigureAwait(false);
    }

    public ValueTask WriteInputAsync(ReadOnlyMemory<byte> bytes, CancellationToken cancellationToken) =>
        live?.WriteInputAsync(bytes, cancellationToken) ?? ValueTask.CompletedTask;

    public ValueTask CloseInputAsync() => live?.CloseInputAsync() ?? ValueTask.CompletedTask;

    public async ValueTask DisposeAsync()
    {
        await _logs.DisposeAsync().ConfigureAwait(false);
        if (live is not null) await live.DisposeAsync().ConfigureAwait(false);
    }
}
