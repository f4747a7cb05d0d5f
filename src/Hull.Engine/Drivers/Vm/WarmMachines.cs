using System.Text.Json;
using Hull.Core;
using Hull.Engine.Drivers.Shims;
using Hull.Hypervisor.Monitor;
using Hull.Hypervisor.Sandboxes;
using Hull.Linux;
using Hull.Linux.Files;
using Hull.Linux.Processes;
using Hull.Linux.Syscalls;
using Hull.Shim.Protocol;

namespace Hull.Engine.Drivers.Vm;

/// <summary>A shim whose monitor holds a twin ready, and the engine's end of its socket.</summary>
internal sealed record WarmMember(ChildProcess Shim, SafeFd Socket)
{
    /// <summary>Ends it: a shim without an engine and an instance goes, its monitor with it, and the twin with that.</summary>
    public void Drop()
    {
        const int grace = 10_000;
        Socket.Dispose();
        _ = Task.Run(() =>
        {
            if (Shim.TryWait(grace) is null)
            {
                Shim.Kill(9);
                Shim.Wait();
            }

            Shim.Dispose();
        });
    }
}

/// <summary>
/// Twins that are ready before anybody wants them: for every live template in use, so many shims with a monitor and a twin each
/// that has never run. An instance takes one over; another is made in the background. Nothing is anybody's before it is taken:
/// a member has no identity, cgroup, network or disk. Whatever ends the engine ends them, because each waits on a socket to it.
/// </summary>
/// <param name="directory">For what the members are told.</param>
/// <param name="size">Members for each template.</param>
internal sealed class WarmMachines(ShimLauncher launcher, string program, string directory, int size, SpareMemory memory) : IDisposable
{
    /// <summary>First the processors are for the machine that has just begun.</summary>
    private static readonly TimeSpan s_pause = TimeSpan.FromMilliseconds(300);

    /// <summary>Members of a template that no machine began from for so long are given back.</summary>
    private static readonly TimeSpan s_idleTime = TimeSpan.FromHours(1);

    /// <summary>What a member may take to be ready; those of a busy machine come last.</summary>
    private const int MostMilliseconds = 60_000;

    private readonly Lock _gate = new();
    private readonly Dictionary<string, Pool> _pools = [];
    private Timer? _watch;
    private bool _disposed;

    /// <summary>Members that are ready.</summary>
    public int Ready
    {
        get
        {
            lock (_gate) return _pools.Values.Sum(pool => pool.Members.Count);
        }
    }

    public int Size => size;

    /// <summary>Machines that began as a member.</summary>
    public int Taken { get; private set; }

    /// <summary>A member for a template, where one is ready. Another is made in its place, or the first ones if there were none.</summary>
    public WarmMember? Take(GuestSource guest, TemplateSource template, SandboxShape shape, int argumentLength)
    {
        if (size == 0 || template.Live is null) return null;
        lock (_gate)
        {
            if (_disposed) return null;
            if (!_pools.TryGetValue(template.Key, out var pool)) _pools[template.Key] = pool = new Pool();
            pool.Request = new WarmRequest(guest, template, shape.MemoryBytes, shape.Processors);
            pool.ArgumentLength = argumentLength;
            pool.UsedAt = Environment.TickCount64;
            memory.Watch();
            _watch ??= new Timer(_ => EndIdle(), null, s_idleTime / 10, s_idleTime / 10);
            if (!pool.IsFilling)
            {
                pool.IsFilling = true;
                _ = Task.Run(() => FillAsync(template.Key, pool));
            }

            var member = Next(pool);
            if (member is not null) Taken++;
            return member;
        }
    }

    /// <summary>Ends the members of a template, or all: for memory, and where what they were made of goes.</summary>
    public void Drop(string? key = null)
    {
        lock (_gate)
        {
            foreach (var (name, pool) in _pools.Where(pool => key is null || pool.Key == key).ToList())
            {
                while (pool.Members.TryDequeue(out var member)) member.Drop();
                pool.IsDropped = true;
                _pools.Remove(name);
            }
        }
    }

    public void Dispose()
    {
        lock (_gate) _disposed = true;
        _watch?.Dispose();
        Drop();
    }

    /// <summary>The oldest that still lives.</summary>
    private static WarmMember? Next(Pool pool)
    {
        while (pool.Members.TryDequeue(out var member))
        {
            if (member.Shim.TryWait(0) is null) return member;
            member.Drop();
        }

        return null;
    }

    private void EndIdle()
    {
        List<string> idle;
        lock (_gate) idle = [.. _pools.Where(pool => Environment.TickCount64 - pool.Value.UsedAt > s_idleTime.TotalMilliseconds).Select(pool => pool.Key)];
        idle.ForEach(Drop);
    }

    private async Task FillAsync(string key, Pool pool)
    {
        try
        {
            await Task.Delay(s_pause).ConfigureAwait(false);
            while (true)
            {
                lock (_gate)
                {
                    // Said under the lock, so that a take afterwards begins anew.
                    if (_disposed || pool.IsDropped || pool.Members.Count >= size || !memory.IsPlenty)
                    {
                        pool.IsFilling = false;
                        return;
                    }
                }

                var member = Make(key, pool);
                lock (_gate)
                {
                    if (_disposed || pool.IsDropped) member.Drop();
                    else pool.Members.Enqueue(member);
                }
            }
        }
        catch (HullException)
        {
            // Instances are made without; the next one to be made tries again.
            lock (_gate) pool.IsFilling = false;
        }
    }

    private WarmMember Make(string key, Pool pool)
    {
        Directory.CreateDirectory(directory, UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute);
        var request = Path.Combine(directory, key + ".json");
        AtomicFile.Write(request, JsonSerializer.SerializeToUtf8Bytes(pool.Request!, WarmRequestJson.Default.WarmRequest), durable: false);
        var (shim, socket) = launcher.StartApart(pool.ArgumentLength);
        var member = new WarmMember(shim, socket);
        try
        {
            var frame = new FrameWriter(FrameKind.Warm, 1).Write(program).Write(request).Finish();
            Check.Result(SocketCalls.Send(socket.Value, frame.Span), $"speak to a shim");
            // The answer is one small frame, which comes at once or not at all.
            var answer = new byte[4096];
            const int kindAt = sizeof(int);
            if (!ChildProcess.WaitReadable(socket, MostMilliseconds) || FileCalls.Read(socket.Value, answer) <= kindAt || (FrameKind)answer[kindAt] != FrameKind.Ok)
                throw new HullException(ErrorKind.Unavailable, "no twin could be made ready");
            return member;
        }
        catch
        {
            member.Drop();
            throw;
        }
    }

    /// <summary>The members of one template.</summary>
    private sealed class Pool
    {
        public Queue<WarmMember> Members { get; } = [];

        public WarmRequest? Request { get; set; }

        /// <summary>Characters of the directory that a shim shows as its argument.</summary>
        public int ArgumentLength { get; set; }

        /// <summary>By <see cref="Environment.TickCount64"/>.</summary>
        public long UsedAt { get; set; }

        public bool IsFilling { get; set; }

        public bool IsDropped { get; set; }
    }
}
