using Hull.Core;
using Hull.Engine.Drivers;

namespace Hull.Engine.Workloads;

/// <summary>
/// An attachment to a workload that does not run yet. It is connected between the creation of the instance and its
/// start, so it has the first byte.
/// </summary>
internal sealed class DeferredAttachment(StreamSelection streams, bool terminal, Action<DeferredAttachment> forget) : IAttachment
{
    private readonly TaskCompletionSource<IAttachment> _inner = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private readonly CancellationTokenSource _disposed = new();

    public StreamSelection Streams => streams;

    public bool Terminal => terminal;

    public async Task ConnectAsync(IInstance instance, CancellationToken cancellationToken)
    {
        if (_disposed.IsCancellationRequested) return;
        var attachment = await instance.AttachAsync(streams, cancellationToken).ConfigureAwait(false);
        if (!_inner.TrySetResult(attachment) || _disposed.IsCancellationRequested) await attachment.DisposeAsync().ConfigureAwait(false);
    }

    /// <summary>The start failed: readers see the end.</summary>
    public void Fail(Exception error) => _inner.TrySetException(error);

    public async ValueTask<OutputChunk> ReadAsync(Memory<byte> buffer, CancellationToken cancellationToken)
    {
        IAttachment inner;
        try
        {
            inner = await InnerAsync(cancellationToken).ConfigureAwait(false);
        }
        catch (HullException)
        {
            return default;
        }

        return await inner.ReadAsync(buffer, cancellationToken).ConfigureAwait(false);
    }

    public async ValueTask WriteInputAsync(ReadOnlyMemory<byte> bytes, CancellationToken cancellationToken)
    {
        var inner = await InnerAsync(cancellationToken).ConfigureAwait(false);
        await inner.WriteInputAsync(bytes, cancellationToken).ConfigureAwait(false);
    }

    public async ValueTask CloseInputAsync()
    {
        try
        {
            var inner = await InnerAsync(CancellationToken.None).ConfigureAwait(false);
            await inner.CloseInputAsync().ConfigureAwait(false);
        }
        catch (Exception error) when (error is HullException or OperationCanceledException)
        {
            // Never connected: there is no input to close.
        }
    }

    public async ValueTask DisposeAsync()
    {
        forget(this);
        await _disposed.CancelAsync().ConfigureAwait(false);
        if (_inner.Task.IsCompletedSuccessfully) await _inner.Task.Result.DisposeAsync().ConfigureAwait(false);
    }

    private async Task<IAttachment> InnerAsync(CancellationToken cancellationToken)
    {
        if (_inner.Task.IsCompletedSuccessfully) return _inner.Task.Result;
        using var linked = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken, _disposed.Token);
        return await _inner.Task.WaitAsync(linked.Token).ConfigureAwait(false);
    }
}
