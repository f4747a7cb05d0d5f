using Hull.Core;
using Hull.Engine.Drivers;
using Hull.Engine.Events;
using Hull.Engine.Machines;
using Hull.Engine.Resources;
using Hull.Engine.Volumes;
using Hull.Engine.Workloads;
using Hull.Images;
using Hull.Linux.Files;
using Hull.Network;

namespace Hull.Engine;

/// <summary>What an engine is composed of. Only the program names concrete drivers.</summary>
public sealed record EngineParts
{
    public required IReadOnlyList<IInstanceDriver> Drivers { get; init; }
    public IImageService? Images { get; init; }
    public NetworkManager? Networks { get; init; }
    public IVolumeManager? Volumes { get; init; }
    public TimeProvider Clock { get; init; } = TimeProvider.System;

    /// <summary>Null for the machine's own.</summary>
    public IMemoryPressureSource? Pressure { get; init; }

    /// <summary>Receives one line per noteworthy event.</summary>
    public Action<string> Log { get; init; } = _ => { };
}

/// <summary>
/// The engine. It may be killed at any moment: instances run on under their shims, and the next engine on the same
/// directories takes them over.
/// </summary>
public sealed class HullEngine : IHullEngine, IAsyncDisposable
{
    private readonly EngineParts _parts;
    private readonly FileLock _lock;
    private readonly EventBus _events;
    private readonly WorkloadService _workloads;

    private HullEngine(EngineOptions options, EngineParts parts, FileLock directoryLock)
    {
        (Options, _parts, _lock) = (options, parts, directoryLock);
        Drivers = parts.Drivers.ToDictionary(driver => driver.Isolation);
        _events = new EventBus(parts.Clock);
        var admission = Admission = new Admission(MachineCapacity.Of(options.Resources, Environment.ProcessorCount, HostUsage.MemoryTotal()));
        var groups = new ResourceGroups(options, admission, parts.Clock, () => _workloads!);
        Groups = groups;
        _workloads = new WorkloadService(new EngineServices(options, Drivers, parts.Images, parts.Networks, parts.Volumes, _events, admission, groups,
            parts.Pressure ?? new HostMemoryPressure(), parts.Clock, parts.Log));
        Execs = new ExecService(_workloads, parts.Clock);
    }

    public EngineOptions Options { get; }

    public IReadOnlyDictionary<string, IInstanceDriver> Drivers { get; }

    public IWorkloads Workloads => _workloads;

    public IExecs Execs { get; }

    public IResourceGroups Groups { get; }

    /// <summary>What has been promised, for others who promise of the same machine.</summary>
    public Admission Admission { get; }

    public IEvents Events => _events;

    public NetworkManager Networks => _parts.Networks ?? throw HullException.Unsupported("this engine has no networks");

    public IVolumeManager Volumes => _parts.Volumes ?? throw HullException.Unsupported("this engine has no volumes");

    /// <summary>
    /// Opens the state and takes over what runs. <see cref="ErrorKind.Conflict"/> while another engine has the data root.
    /// The parts become the engine's and end with it.
    /// </summary>
    public static async Task<HullEngine> OpenAsync(EngineOptions options, EngineParts parts, CancellationToken cancellationToken = default)
    {
        MakeDirectory(options.DataRoot);
        MakeDirectory(options.ExecRoot);
        MakeDirectory(Path.Combine(options.ExecRoot, "i"));
        var directoryLock = await LockAsync(options.DataRoot, cancellationToken).ConfigureAwait(false);
        var engine = new HullEngine(options, parts, directoryLock);
        try
        {
            await engine._workloads.RecoverAsync(cancellationToken).ConfigureAwait(false);
            return engine;
        }
        catch
        {
            directoryLock.Dispose();
            throw;
        }
    }

    /// <summary>Lets full machines be in groups, and in the order in which memory is taken.</summary>
    public void Include(MachineManager machines) => _workloads.Include(machines);

    /// <summary>Ends the engine; workloads run on unless <see cref="EngineOptions.KeepWorkloadsOnShutdown"/> is off.</summary>
    public async ValueTask DisposeAsync()
    {
        await _workloads.StopAsync(stopWorkloads: !Options.KeepWorkloadsOnShutdown).ConfigureAwait(false);
        foreach (var driver in Drivers.Values) await driver.DisposeAsync().ConfigureAwait(false);
        await _workloads.DisconnectAllAsync().ConfigureAwait(false);
        if (_parts.Networks is { } networks) await networks.DisposeAsync().ConfigureAwait(false);
        _lock.Dispose();
    }

    /// <summary>Tries for a moment: a child that a killed engine had just cloned holds the lock until its execve(2).</summary>
    private static async Task<FileLock> LockAsync(string directory, CancellationToken cancellationToken)
    {
        const int attempts = 10;
        for (var attempt = 1; ; attempt++)
        {
            if (FileLock.TryAcquire(Path.Combine(directory, "engine.lock")) is { } taken) return taken;
            if (attempt == attempts) throw HullException.Conflict($"another engine uses {directory}: stop it, or give this one roots of its own");
            await Task.Delay(50, cancellationToken).ConfigureAwait(false);
        }
    }

    /// <summary>Nobody but root looks into the state of other people's workloads; their uids may pass through.</summary>
    private static void MakeDirectory(string path) =>
        Directory.CreateDirectory(path, UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute | UnixFileMode.GroupExecute
            | UnixFileMode.OtherExecute);
}
