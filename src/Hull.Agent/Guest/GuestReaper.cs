using Hull.Linux;
using Hull.Linux.Abi;
using Hull.Linux.Processes;
using Hull.Linux.Syscalls;

namespace Hull.Agent.Guest;

/// <summary>
/// Collects every process that ends as a child of this init: those of containers, whose ends are reported, and orphans
/// that fell to it. Pidfds wake the loop; no signal handler is needed.
/// </summary>
internal sealed class GuestReaper(EventLoop loop)
{
    private readonly Dictionary<int, (Source Source, Action<ExitStatus> Ended)> _children = [];

    public void Watch(int pid, SafeFd pidfd, Action<ExitStatus> ended)
    {
        var source = new Source(pidfd, this);
        _children[pid] = (source, ended);
        loop.Add(source);
    }

    public void Reap()
    {
        while (true)
        {
            var pid = (int)ProcessCalls.Wait(-1, Waiting.WNOHANG, out var word);
            if (pid <= 0) return;
            if (!_children.Remove(pid, out var child)) continue;
            loop.Remove(child.Source);
            child.Ended(ExitStatus.FromWaitStatus(word));
        }
    }

    private sealed class Source(SafeFd pidfd, GuestReaper reaper) : IEventSource
    {
        public int Descriptor => pidfd.Value;

        public short Interest => Waiting.POLLIN;

        public void Ready(short events) => reaper.Reap();
    }
}
