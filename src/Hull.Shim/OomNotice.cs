using Hull.Linux.Abi;
using Hull.Linux.Cgroups;

namespace Hull.Shim;

/// <summary>Tells of processes that the kernel kills for memory while the instance runs: a descriptor in the loop, no thread.</summary>
internal sealed class OomNotice : IReady, IDisposable
{
    private readonly EventLoop _loop;
    private readonly OomWatch _watch;
    private readonly Action _tell;

    private OomNotice(EventLoop loop, OomWatch watch, Action tell)
    {
        (_loop, _watch, _tell) = (loop, watch, tell);
        loop.Watch(watch.Descriptor.Value, Waiting.EPOLLIN, this);
    }

    /// <summary>Null where the file is not one of a cgroup's: then the end of the instance tells.</summary>
    public static OomNotice? Start(EventLoop loop, string file, Action tell) =>
        OomWatch.TryOpen(file) is { } watch ? new OomNotice(loop, watch, tell) : null;

    public void OnReady(uint events)
    {
        if (_watch.Acknowledge()) _tell();
        else if (!_watch.IsAlive) Dispose();
    }

    /// <summary>
    /// Tells nothing more. What is watched goes with the process: the kernel closes an inotify(7) descriptor only when every
    /// processor has passed by, 10 ms and more, which nobody is to wait for who is told of the instance's end.
    /// </summary>
    public void Silence()
    {
        if (!_watch.Descriptor.IsClosed) _loop.Forget(_watch.Descriptor.Value);
    }

    public void Dispose()
    {
        if (_watch.Descriptor.IsClosed) return;
        _loop.Forget(_watch.Descriptor.Value);
        _watch.Dispose();
    }
}
