using System.Runtime.InteropServices;
using Hull.Linux.Abi;
using Hull.Linux.Syscalls;
using static Hull.Linux.Abi.Waiting;

namespace Hull.Linux.Processes;

/// <summary>
/// Completes tasks when descriptors become readable: one thread and one epoll instance for the whole program, started
/// at first use. It is how pidfds, which .NET does not know, are awaited.
/// </summary>
public sealed class DescriptorWatcher
{
    private static readonly Lazy<DescriptorWatcher> s_shared = new(() => new DescriptorWatcher());
    private readonly SafeFd _epoll;
    private readonly Dictionary<ulong, (SafeFd Owned, TaskCompletionSource Done)> _waits = [];
    private ulong _next;

    private DescriptorWatcher()
    {
        _epoll = Check.Descriptor(EpollCalls.Create(), $"create an epoll instance");
        new Thread(Run) { IsBackground = true, Name = "descriptors" }.Start();
    }

    public static DescriptorWatcher Shared => s_shared.Value;

    /// <summary>Completes when the descriptor is readable or hung up. The descriptor may be closed meanwhile: a copy is watched.</summary>
    public Task WaitReadableAsync(SafeFd descriptor, CancellationToken cancellationToken = default)
    {
        var copy = descriptor.Duplicate();
        var done = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        ulong key;
        lock (_waits)
        {
            key = ++_next;
            _waits.Add(key, (copy, done));
            var result = EpollCalls.Control(_epoll.Value, EPOLL_CTL_ADD, copy.Value, EPOLLIN | EPOLLONESHOT, key);
            if (result < 0)
            {
                _waits.Remove(key);
                copy.Dispose();
                Check.Result(result, $"watch {descriptor}");
            }
        }

        if (cancellationToken.CanBeCanceled)
        {
            var registration = cancellationToken.Register(() =>
            {
                if (Remove(key) is { } cancelled) cancelled.TrySetCanceled(cancellationToken);
            });
            _ = done.Task.ContinueWith(_ => registration.Dispose(), TaskScheduler.Default);
        }

        return done.Task;
    }

    private TaskCompletionSource? Remove(ulong key)
    {
        lock (_waits)
        {
            if (!_waits.Remove(key, out var wait)) return null;
            // Explicitly, because the original of this copy may keep the open file, and with it the registration, alive.
            _ = EpollCalls.Control(_epoll.Value, EPOLL_CTL_DEL, wait.Owned.Value, 0, 0);
            wait.Owned.Dispose();
            return wait.Done;
        }
    }

    private void Run()
    {
        Span<ulong> ready = stackalloc ulong[64];
        while (true)
        {
            var count = EpollCalls.Wait(_epoll.Value, ready, -1);
            for (var i = 0; i < count; i++) Remove(ready[i])?.TrySetResult();
        }
    }
}
