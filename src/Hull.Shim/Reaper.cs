using Hull.Linux;
using Hull.Linux.Abi;
using Hull.Linux.Processes;
using Hull.Linux.Syscalls;

namespace Hull.Shim;

/// <summary>
/// Collects every child. Waking up is by pidfd, not by SIGCHLD: a signal would go to whichever thread of the language
/// runtime does not block it, and be lost there.
/// </summary>
internal sealed class Reaper(EventLoop loop) : IReady
{
    private readonly Dictionary<int, (SafeFd Pidfd, Action<ExitStatus> Done)> _children = [];
    private readonly Dictionary<int, ExitStatus> _strays = [];

    /// <summary>Calls back when the child has ended; at once if it was collected already.</summary>
    public void Watch(int pid, Action<ExitStatus> done, SafeFd? pidfd = null)
    {
        if (_strays.Remove(pid, out var early))
        {
            pidfd?.Dispose();
            done(early);
            return;
        }

        pidfd ??= Check.Descriptor(ProcessCalls.PidfdOpen(pid), $"open pidfd of {pid}");
        _children.Add(pid, (pidfd, done));
        loop.Watch(pidfd.Value, Waiting.EPOLLIN, this);
    }

    public void OnReady(uint events) => Reap();

    /// <summary>Also takes orphans that fell to the shim; the last few are remembered, in case their pid is asked for next.</summary>
    public void Reap()
    {
        while (true)
        {
            var pid = (int)ProcessCalls.Wait(-1, Waiting.WNOHANG, out var word);
            if (pid <= 0) return;
            var status = ExitStatus.FromWaitStatus(word);
            if (_children.Remove(pid, out var child))
            {
                loop.Forget(child.Pidfd.Value);
                child.Pidfd.Dispose();
                child.Done(status);
            }
            else
            {
                if (_strays.Count > 64) _strays.Clear();
                _strays[pid] = status;
            }
        }
    }
}
