namespace Hull.Registry.Storage;

/// <summary>A lock that many share or one has alone, held across awaits. Who wants it alone goes first.</summary>
public sealed class AsyncSharedLock
{
    private readonly SemaphoreSlim _alone = new(1, 1);
    private int _inside;

    public async ValueTask<IDisposable> ShareAsync(CancellationToken cancellation = default)
    {
        await _alone.WaitAsync(cancellation).ConfigureAwait(false);
        Interlocked.Increment(ref _inside);
        _alone.Release();
        return new Hold(() => Interlocked.Decrement(ref _inside));
    }

    public async ValueTask<IDisposable> TakeAloneAsync(CancellationToken cancellation = default)
    {
        await _alone.WaitAsync(cancellation).ConfigureAwait(false);
        try
        {
            // Nobody can enter any more; those inside leave one by one, soon: they hold it for a few small writes.
            while (Volatile.Read(ref _inside) > 0) await Task.Delay(1, cancellation).ConfigureAwait(false);
        }
        catch
        {
            _alone.Release();
            throw;
        }

        return new Hold(() => _alone.Release());
    }

    private sealed class Hold(Action release) : IDisposable
    {
        private Action? _release = release;

        public void Dispose() => Interlocked.Exchange(ref _release, null)?.Invoke();
    }
}
