using Hull.Linux.Abi;
using Hull.Linux.Syscalls;

namespace Hull.Agent.Guest;

/// <summary>Something the loop waits for.</summary>
internal interface IEventSource
{
    int Descriptor { get; }

    /// <summary>POLLIN, POLLOUT or both; 0 leaves it out for now.</summary>
    short Interest { get; }

    /// <summary>Called with what is ready, POLLHUP and POLLERR included.</summary>
    void Ready(short events);
}

/// <summary>
/// Everything the agent does happens on one thread, driven by ppoll(2): no locks, no pool, little code to translate in
/// an emulated machine, and a memory image without half-done work whenever the loop waits.
/// </summary>
internal sealed class EventLoop
{
    private readonly List<IEventSource> _sources = [];
    private readonly List<IEventSource> _polled = [];
    private PollFd[] _descriptors = new PollFd[16];

    public void Add(IEventSource source) => _sources.Add(source);

    public void Remove(IEventSource source) => _sources.Remove(source);

    /// <summary>Waits once, at most <paramref name="milliseconds"/>, and hands out what is ready.</summary>
    public void RunOnce(int milliseconds)
    {
        _polled.Clear();
        if (_descriptors.Length < _sources.Count) Array.Resize(ref _descriptors, _sources.Count * 2);
        foreach (var source in _sources)
        {
            var interest = source.Interest;
            if (interest == 0) continue;
            _descriptors[_polled.Count] = new PollFd { fd = source.Descriptor, events = interest };
            _polled.Add(source);
        }

        // A signal or nothing: the next round looks again.
        if (ProcessCalls.Poll(_descriptors.AsSpan(0, _polled.Count), milliseconds) <= 0) return;
        for (var index = 0; index < _polled.Count; index++)
        {
            // A source may remove another that was ready in the same round.
            if (_descriptors[index].revents != 0 && _sources.Contains(_polled[index])) _polled[index].Ready(_descriptors[index].revents);
        }
    }
}
