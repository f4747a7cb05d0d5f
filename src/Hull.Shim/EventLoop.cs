using Hull.Linux;
using Hull.Linux.Abi;
using Hull.Linux.Syscalls;

namespace Hull.Shim;

/// <summary>Something that is told when its descriptor is ready.</summary>
internal interface IReady
{
    void OnReady(uint events);
}

/// <summary>
/// One thread, one epoll instance: everything a shim does happens here, so nothing in it needs a lock and a shim needs
/// no thread pool, whose threads would cost more memory than all the rest.
/// </summary>
internal sealed class EventLoop : IDisposable
{
    private readonly SafeFd _epoll = Check.Descriptor(EpollCalls.Create(), $"create an epoll instance");
    private readonly Dictionary<int, IReady> _handlers = [];
    private readonly (ulong Data, uint Events)[] _ready = new (ulong, uint)[32];
    private readonly List<(long At, Action Action)> _timers = [];

    /// <summary>Runs after each round of events.</summary>
    public Action? AfterRound { get; set; }

    public bool Stopped { get; set; }

    public void Watch(int descriptor, uint events, IReady handler)
    {
        var operation = _handlers.ContainsKey(descriptor) ? Waiting.EPOLL_CTL_MOD : Waiting.EPOLL_CTL_ADD;
        _handlers[descriptor] = handler;
        Check.Result(EpollCalls.Control(_epoll.Value, operation, descriptor, events, (ulong)descriptor), $"watch descriptor {descriptor}");
    }

    public void Forget(int descriptor)
    {
        if (!_handlers.Remove(descriptor)) return;
        _ = EpollCalls.Control(_epoll.Value, Waiting.EPOLL_CTL_DEL, descriptor, 0, 0);
    }

    /// <summary>Runs an action once, so many milliseconds from now.</summary>
    public void After(int milliseconds, Action action) => _timers.Add((Environment.TickCount64 + milliseconds, action));

    public void Run()
    {
        while (!Stopped)
        {
            var count = EpollCalls.Wait(_epoll.Value, _ready, Timeout());
            if (count != -(nint)Errno.EINTR) Check.Result(count, $"wait for events");
            for (var i = 0; i < count; i++)
            {
                // A handler earlier in this round may have closed a later one's descriptor.
                if (_handlers.TryGetValue((int)_ready[i].Data, out var handler)) handler.OnReady(_ready[i].Events);
            }

            RunTimers();
            AfterRound?.Invoke();
        }
    }

    public void Dispose() => _epoll.Dispose();

    private int Timeout()
    {
        var next = long.MaxValue;
        foreach (var (at, _) in _timers) next = Math.Min(next, at);
        return next == long.MaxValue ? -1 : (int)Math.Clamp(next - Environment.TickCount64, 0, int.MaxValue);
    }

    private void RunTimers()
    {
        for (var i = _timers.Count - 1; i >= 0; i--)
        {
            if (_timers[i].At > Environment.TickCount64) continue;
            var action = _timers[i].Action;
            _timers.RemoveAt(i);
            action();
        }
    }
}
