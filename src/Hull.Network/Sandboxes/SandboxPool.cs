using System.Collections.Concurrent;
using Hull.Linux;
using Hull.Linux.Abi;
using Hull.Linux.Netlink;
using Hull.Linux.Syscalls;

namespace Hull.Network;

/// <summary>An empty network namespace, its loopback up, with a socket inside for its set-up.</summary>
internal sealed class Sandbox : IDisposable
{
    public required NetworkNamespace Namespace { get; init; }

    public required RouteSocket Route { get; init; }

    public static Sandbox Create() => Prepare(NetworkNamespace.Create());

    /// <summary>One that belongs to a user namespace.</summary>
    public static Sandbox CreateIn(string userNamespace)
    {
        using var owner = Check.Descriptor(FileCalls.OpenAt(Fcntl.AT_FDCWD, userNamespace, Fcntl.O_RDONLY), $"open the user namespace {userNamespace}");
        return Prepare(NetworkNamespace.CreateIn(owner));
    }

    private static Sandbox Prepare(NetworkNamespace created)
    {
        try
        {
            return Open(created, loopback: true);
        }
        catch
        {
            created.Dispose();
            throw;
        }
    }

    /// <summary>Joins an existing namespace; takes over the handle.</summary>
    public static Sandbox Open(NetworkNamespace existing, bool loopback)
    {
        var route = existing.Run(() => new RouteSocket());
        if (loopback)
        {
            var batch = new RouteBatch();
            batch.SetUp(1);
            route.Execute(batch);
        }

        return new Sandbox { Namespace = existing, Route = route };
    }

    /// <summary>A netlink socket keeps its namespace alive, so a sandbox is closed as soon as it is set up.</summary>
    public void Dispose()
    {
        Route.Dispose();
        Namespace.Dispose();
    }
}

/// <summary>Keeps a few sandboxes ready, so that making one is off the path of a start.</summary>
internal sealed class SandboxPool(int size) : IDisposable
{
    /// <summary>Longer than a short command takes: making a namespace holds the lock that taking its predecessor down needs.</summary>
    private static readonly TimeSpan Pause = TimeSpan.FromMilliseconds(40);

    private readonly ConcurrentQueue<Sandbox> ready = new();
    private int filling;
    private volatile bool disposed;

    public Sandbox Take()
    {
        var sandbox = ready.TryDequeue(out var found) ? found : Sandbox.Create();
        Fill();
        return sandbox;
    }

    /// <summary>Refills in the background, after a pause: a start that has just taken one needs the processor now.</summary>
    public void Fill()
    {
        if (size == 0 || disposed || Interlocked.Exchange(ref filling, 1) != 0) return;
        _ = Task.Run(async () =>
        {
            try
            {
                await Task.Delay(Pause);
                while (!disposed && ready.Count < size) ready.Enqueue(Sandbox.Create());
            }
            catch (Hull.Core.HullException)
            {
                // Whoever needs the next one makes it in the foreground and reports the reason.
            }
            finally
            {
                Volatile.Write(ref filling, 0);
                if (disposed) Empty();
            }
        });
    }

    public void Dispose()
    {
        disposed = true;
        Empty();
    }

    private void Empty()
    {
        while (ready.TryDequeue(out var sandbox)) sandbox.Dispose();
    }
}
