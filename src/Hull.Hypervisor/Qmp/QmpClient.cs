using System.Collections.Concurrent;
using System.Net.Sockets;
using System.Text.Json;
using System.Threading.Channels;
using Hull.Linux;
using Hull.Linux.Syscalls;

namespace Hull.Hypervisor.Qmp;

/// <summary>
/// A client of one QEMU monitor (QEMU's docs/interop/qmp-spec.rst). Commands may be issued from several
/// threads; answers are matched by id, and events are handed to every subscription that is open when they
/// arrive. When the monitor goes away, everything that waits fails with <see cref="ErrorKind.Unavailable"/>.
/// </summary>
public sealed class QmpClient : IAsyncDisposable
{
    /// <summary>Generous: a machine under emulation on a loaded host may take seconds to answer.</summary>
    public static readonly TimeSpan DefaultTimeout = TimeSpan.FromSeconds(60);

    private readonly Stream _stream;
    private readonly QmpLineReader _lines;
    private readonly SemaphoreSlim _writing = new(1, 1);
    private readonly ConcurrentDictionary<long, TaskCompletionSource<JsonElement>> _pending = new();
    private readonly ConcurrentDictionary<QmpSubscription, byte> _subscriptions = new();
    private readonly CancellationTokenSource _closing = new();
    private Task _receiving = Task.CompletedTask;
    private long _nextId;

    private QmpClient(Stream stream)
    {
        _stream = stream;
        _lines = new QmpLineReader(stream);
    }

    /// <summary>Version the monitor announced in its greeting.</summary>
    public QmpVersion Version { get; private set; } = new(0, 0, 0, "");

    /// <summary>Completes when the monitor has closed the connection.</summary>
    public Task Closed => _receiving;

    /// <summary>Reads the greeting and leaves capability negotiation mode.</summary>
    public static async Task<QmpClient> ConnectAsync(Stream stream, TimeSpan? timeout = null,
        CancellationToken cancellationToken = default)
    {
        var client = new QmpClient(stream);
        try
        {
            using var bound = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
            bound.CancelAfter(timeout ?? DefaultTimeout);
            var line = await client._lines.ReadAsync(bound.Token).ConfigureAwait(false)
                ?? throw new HullException(ErrorKind.Unavailable, "the qemu monitor closed before it greeted");
            client.Version = ParseGreeting(line);
        }
        catch (OperationCanceledException cause) when (!cancellationToken.IsCancellationRequested)
        {
            await client.DisposeAsync().ConfigureAwait(false);
            throw new HullException(ErrorKind.Timeout, "the qemu monitor did not greet in time", cause);
        }
        catch (IOException cause)
        {
            await client.DisposeAsync().ConfigureAwait(false);
            throw new HullException(ErrorKind.Unavailable, "the qemu monitor went away before it greeted", cause);
        }
        catch
        {
            await client.DisposeAsync().ConfigureAwait(false);
            throw;
        }

        client._receiving = client.ReceiveAsync();
        await client.ExecuteAsync(QmpCommands.NegotiateCapabilities(), timeout, cancellationToken).ConfigureAwait(false);
        return client;
    }

    /// <summary>Goes on with a monitor that has greeted somebody else already and left capability negotiation mode.</summary>
    public static QmpClient Continue(Stream stream)
    {
        var client = new QmpClient(stream);
        client._receiving = client.ReceiveAsync();
        return client;
    }

    /// <summary>
    /// Runs one command. An error answer becomes a <see cref="HullException"/> that names the command;
    /// no answer in time is <see cref="ErrorKind.Timeout"/>.
    /// </summary>
    public Task<TResult> ExecuteAsync<TResult>(QmpCommand<TResult> command, TimeSpan? timeout = null,
        CancellationToken cancellationToken = default) => ExecuteAsync(command, null, timeout, cancellationToken);

    /// <summary>Runs one command with a descriptor as ancillary data, as <c>getfd</c> needs it; the monitor must be on a unix socket.</summary>
    public async Task<TResult> ExecuteAsync<TResult>(QmpCommand<TResult> command, SafeFd? descriptor, TimeSpan? timeout = null,
        CancellationToken cancellationToken = default)
    {
        var id = Interlocked.Increment(ref _nextId);
        var answer = new TaskCompletionSource<JsonElement>(TaskCreationOptions.RunContinuationsAsynchronously);
        _pending[id] = answer;
        try
        {
            if (_receiving.IsCompleted) throw Gone();
            await SendAsync(command.Serialize(id), descriptor, cancellationToken).ConfigureAwait(false);
            var result = await answer.Task.WaitAsync(timeout ?? DefaultTimeout, cancellationToken).ConfigureAwait(false);
            return command.Parse(Unwrap(command.Name, result));
        }
        catch (TimeoutException cause)
        {
            throw new HullException(ErrorKind.Timeout, $"the qemu monitor did not answer {command.Name} in time", cause);
        }
        catch (IOException cause)
        {
            throw new HullException(ErrorKind.Unavailable, $"the qemu monitor went away during {command.Name}", cause);
        }
        finally
        {
            _pending.TryRemove(id, out _);
        }
    }

    /// <summary>Begins to collect events. Subscribe before the command whose events matter is issued.</summary>
    public QmpSubscription Subscribe()
    {
        var subscription = new QmpSubscription(s => _subscriptions.TryRemove(s, out _));
        _subscriptions[subscription] = 0;
        if (_receiving.IsCompleted) subscription.Complete();
        return subscription;
    }

    public async ValueTask DisposeAsync()
    {
        await _closing.CancelAsync().ConfigureAwait(false);
        await _stream.DisposeAsync().ConfigureAwait(false);
        await _receiving.ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        _writing.Dispose();
        _closing.Dispose();
    }

    private static HullException Gone() => new(ErrorKind.Unavailable, "the qemu monitor is gone");

    private static QmpVersion ParseGreeting(ReadOnlyMemory<byte> line)
    {
        try
        {
            using var document = JsonDocument.Parse(line);
            var version = document.RootElement.GetProperty("QMP").GetProperty("version");
            var qemu = version.GetProperty("qemu");
            return new QmpVersion(qemu.GetProperty("major").GetInt32(), qemu.GetProperty("minor").GetInt32(),
                qemu.GetProperty("micro").GetInt32(), version.GetProperty("package").GetString() ?? "");
        }
        catch (Exception cause) when (cause is JsonException or KeyNotFoundException or InvalidOperationException)
        {
            throw HullException.Corrupted("the qemu monitor greeted with something that is not QMP", cause);
        }
    }

    private static JsonElement Unwrap(string command, JsonElement answer)
    {
        if (answer.TryGetProperty("return", out var result)) return result;
        var error = answer.GetProperty("error");
        var text = error.GetProperty("desc").GetString() ?? "";
        var kind = error.GetProperty("class").GetString() switch
        {
            "CommandNotFound" => ErrorKind.Unsupported,
            "DeviceNotFound" => ErrorKind.NotFound,
            "DeviceNotActive" => ErrorKind.Conflict,
            _ => ErrorKind.Internal,
        };
        throw new HullException(kind, $"qemu refused {command}: {text.ReplaceLineEndings(" ").TrimEnd('.', ' ')}");
    }

    private async Task SendAsync(byte[] message, SafeFd? descriptor, CancellationToken cancellationToken)
    {
        await _writing.WaitAsync(cancellationToken).ConfigureAwait(false);
        try
        {
            var sent = 0;
            if (descriptor is not null)
            {
                if (_stream is not NetworkStream { Socket: var socket }) throw HullException.Unsupported("a descriptor needs a monitor on a unix socket");
                sent = (int)Check.Result(SocketCalls.Send((int)socket.Handle, message, [descriptor.Value]), $"pass a descriptor to the qemu monitor");
            }

            // A message once begun is finished: half a message would break every later command.
            await _stream.WriteAsync(message.AsMemory(sent), _closing.Token).ConfigureAwait(false);
            await _stream.FlushAsync(_closing.Token).ConfigureAwait(false);
        }
        finally
        {
            _writing.Release();
        }
    }

    private async Task ReceiveAsync()
    {
        try
        {
            while (await _lines.ReadAsync(_closing.Token).ConfigureAwait(false) is { } line) Dispatch(line);
        }
        catch (Exception cause) when (cause is IOException or OperationCanceledException or ObjectDisposedException or JsonException)
        {
            // The connection ended; what waits learns it below.
        }

        foreach (var waiting in _pending.Values) waiting.TrySetException(Gone());
        foreach (var subscription in _subscriptions.Keys) subscription.Complete();
    }

    private void Dispatch(ReadOnlyMemory<byte> line)
    {
        using var document = JsonDocument.Parse(line);
        var message = document.RootElement.Clone();
        if (message.TryGetProperty("event", out var name))
        {
            var occurrence = new QmpEvent(name.GetString() ?? "", DataOf(message), TimeOf(message));
            foreach (var subscription in _subscriptions.Keys) subscription.Offer(occurrence);
        }
        else if (message.TryGetProperty("id", out var id) && _pending.TryRemove(id.GetInt64(), out var waiting))
        {
            waiting.TrySetResult(message);
        }
    }

    private static JsonElement DataOf(JsonElement message) =>
        message.TryGetProperty("data", out var data) ? data : default;

    private static DateTimeOffset TimeOf(JsonElement message)
    {
        if (!message.TryGetProperty("timestamp", out var stamp)) return default;
        var microseconds = stamp.GetProperty("seconds").GetInt64() * 1_000_000 + stamp.GetProperty("microseconds").GetInt64();
        return DateTimeOffset.UnixEpoch.AddMicroseconds(microseconds);
    }
}

/// <summary>The events of a monitor from the moment of subscription on, in order.</summary>
public sealed class QmpSubscription(Action<QmpSubscription> remove) : IDisposable
{
    private readonly Channel<QmpEvent> _events = Channel.CreateUnbounded<QmpEvent>();

    /// <summary>Waits for the next event that <paramref name="wanted"/> accepts; earlier ones are dropped.</summary>
    public async Task<QmpEvent> WaitAsync(Func<QmpEvent, bool> wanted, TimeSpan? timeout = null,
        CancellationToken cancellationToken = default)
    {
        using var bound = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        bound.CancelAfter(timeout ?? QmpClient.DefaultTimeout);
        try
        {
            await foreach (var occurrence in _events.Reader.ReadAllAsync(bound.Token).ConfigureAwait(false))
            {
                if (wanted(occurrence)) return occurrence;
            }
        }
        catch (OperationCanceledException cause) when (!cancellationToken.IsCancellationRequested)
        {
            throw new HullException(ErrorKind.Timeout, "qemu did not report an expected event in time", cause);
        }

        throw new HullException(ErrorKind.Unavailable, "qemu ended before it reported an expected event");
    }

    public Task<QmpEvent> WaitAsync(string name, TimeSpan? timeout = null, CancellationToken cancellationToken = default) =>
        WaitAsync(occurrence => occurrence.Name == name, timeout, cancellationToken);

    /// <summary>All events until the monitor closes.</summary>
    public IAsyncEnumerable<QmpEvent> ReadAllAsync(CancellationToken cancellationToken = default) =>
        _events.Reader.ReadAllAsync(cancellationToken);

    public void Dispose()
    {
        remove(this);
        Complete();
    }

    internal void Offer(QmpEvent occurrence) => _events.Writer.TryWrite(occurrence);

    internal void Complete() => _events.Writer.TryComplete();
}
