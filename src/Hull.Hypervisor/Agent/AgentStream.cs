using System.Buffers.Binary;
using System.Threading.Channels;
using Hull.Agent.Protocol;

namespace Hull.Hypervisor.Agent;

/// <summary>One stream of the data port, for reading or for writing, with the protocol's flow control.</summary>
public sealed class AgentStream : IAsyncDisposable
{
    private readonly Func<FrameKind, uint, ReadOnlyMemory<byte>, CancellationToken, Task> _send;
    private readonly Action<uint> _remove;
    private readonly Channel<byte[]> _received = Channel.CreateUnbounded<byte[]>(new UnboundedChannelOptions { SingleWriter = true });
    private readonly SemaphoreSlim _granted = new(0);
    private int _credit = Frame.InitialCredit;
    private byte[] _current = [];
    private int _offset;
    private volatile bool _completed;

    internal AgentStream(uint id, Func<FrameKind, uint, ReadOnlyMemory<byte>, CancellationToken, Task> send, Action<uint> remove)
    {
        Id = id;
        _send = send;
        _remove = remove;
    }

    /// <summary>The number to name in a request.</summary>
    public uint Id { get; }

    /// <summary>Completes when the guest has ended the stream, before its last bytes are necessarily read.</summary>
    public Task Ended => _received.Reader.Completion;

    /// <summary>Reads what has come, waiting for something; 0 at the end.</summary>
    public async ValueTask<int> ReadAsync(Memory<byte> buffer, CancellationToken cancellationToken = default)
    {
        while (_offset == _current.Length)
        {
            if (_received.Reader.TryRead(out var next)) (_current, _offset) = (next, 0);
            else if (!await _received.Reader.WaitToReadAsync(cancellationToken).ConfigureAwait(false)) return 0;
        }

        var count = Math.Min(buffer.Length, _current.Length - _offset);
        _current.AsMemory(_offset, count).CopyTo(buffer);
        _offset += count;
        if (_offset == _current.Length && !_completed) await GrantAsync(_current.Length, cancellationToken).ConfigureAwait(false);
        return count;
    }

    /// <summary>Sends bytes as far as the guest takes them; false once it has closed its end.</summary>
    public async ValueTask<bool> WriteAsync(ReadOnlyMemory<byte> bytes, CancellationToken cancellationToken = default)
    {
        while (bytes.Length > 0)
        {
            if (_completed) return false;
            var count = Math.Min(Math.Min(bytes.Length, Frame.MaximumData), Volatile.Read(ref _credit));
            if (count <= 0)
            {
                await _granted.WaitAsync(cancellationToken).ConfigureAwait(false);
                continue;
            }

            Interlocked.Add(ref _credit, -count);
            await _send(FrameKind.Data, Id, bytes[..count], cancellationToken).ConfigureAwait(false);
            bytes = bytes[count..];
        }

        return !_completed;
    }

    /// <summary>Says that nothing more is written.</summary>
    public Task EndAsync(CancellationToken cancellationToken = default) => _send(FrameKind.End, Id, default, cancellationToken);

    /// <summary>Everything until the end, as text; for small outputs.</summary>
    public async Task<string> ReadTextAsync(CancellationToken cancellationToken = default)
    {
        using var all = new MemoryStream();
        var buffer = new byte[Frame.MaximumData];
        int count;
        while ((count = await ReadAsync(buffer, cancellationToken).ConfigureAwait(false)) > 0) all.Write(buffer, 0, count);
        return System.Text.Encoding.UTF8.GetString(all.ToArray());
    }

    /// <summary>Forgets the stream; what still comes for it is dropped.</summary>
    public async ValueTask DisposeAsync()
    {
        _remove(Id);
        if (!_completed)
        {
            Complete();
            try
            {
                await _send(FrameKind.Reset, Id, default, CancellationToken.None).ConfigureAwait(false);
            }
            catch (Exception cause) when (cause is IOException or ObjectDisposedException or OperationCanceledException)
            {
                // The machine is gone, and the stream with it.
            }
        }
    }

    internal void Receive(ReadOnlyMemory<byte> bytes) => _received.Writer.TryWrite(bytes.ToArray());

    internal void Grant(int bytes)
    {
        Interlocked.Add(ref _credit, bytes);
        _granted.Release();
    }

    internal void Complete()
    {
        _completed = true;
        _received.Writer.TryComplete();
        _granted.Release();
    }

    private async Task GrantAsync(int bytes, CancellationToken cancellationToken)
    {
        var payload = new byte[4];
        BinaryPrimitives.WriteUInt32LittleEndian(payload, (uint)bytes);
        try
        {
            await _send(FrameKind.Credit, Id, payload, cancellationToken).ConfigureAwait(false);
        }
        catch (Exception cause) when (cause is IOException or ObjectDisposedException)
        {
            // The machine is gone; what it had sent can still be read.
        }
    }
}
