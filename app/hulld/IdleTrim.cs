using Hull.Api.Http;
using Hull.Linux.Syscalls;

namespace Hull.Daemon;

/// <summary>
/// Gives memory back when nobody has asked for anything for a while: the garbage of the last requests, the C library's
/// free lists, and pages of the program itself. An engine that stays quiet is not woken for it again.
/// </summary>
internal sealed class IdleTrim : IDisposable
{
    private static readonly TimeSpan Quiet = TimeSpan.FromSeconds(10);
    private readonly Timer timer;
    private int armed;
    private long lastUse;

    public IdleTrim()
    {
        timer = new Timer(_ => OnTimer());
        Touch();
    }

    /// <summary>The handler, with each request counted as use.</summary>
    public Func<ApiRequest, Task> Around(Func<ApiRequest, Task> handle) => async request =>
    {
        Touch();
        try
        {
            await handle(request).ConfigureAwait(false);
        }
        finally
        {
            Touch();
        }
    };

    public void Dispose() => timer.Dispose();

    private void Touch()
    {
        Volatile.Write(ref lastUse, Environment.TickCount64);
        if (Interlocked.Exchange(ref armed, 1) == 0) timer.Change(Quiet, Timeout.InfiniteTimeSpan);
    }

    private void OnTimer()
    {
        var left = Quiet - TimeSpan.FromMilliseconds(Environment.TickCount64 - Volatile.Read(ref lastUse));
        if (left > TimeSpan.FromMilliseconds(50))
        {
            timer.Change(left, Timeout.InfiniteTimeSpan);
            return;
        }

        Volatile.Write(ref armed, 0);
        GC.Collect(GC.MaxGeneration, GCCollectionMode.Aggressive, blocking: true, compacting: true);
        MemoryCalls.TrimHeap();
        FilePages.Drop(data: true);
    }
}
