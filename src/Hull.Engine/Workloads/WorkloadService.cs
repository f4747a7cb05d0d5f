using System.Collections.Concurrent;
using Hull.Core;
using Hull.Engine.Drivers;
using Hull.Engine.Events;
using Hull.Engine.Resources;
using Hull.Engine.Volumes;
using Hull.Images;
using Hull.Network;

namespace Hull.Engine.Workloads;

/// <summary>What the service stands on.</summary>
internal sealed record EngineServices(
    EngineOptions Options,
    IReadOnlyDictionary<string, IInstanceDriver> Drivers,
    IImageService? Images,
    NetworkManager? Networks,
    IVolumeManager? Volumes,
    EventBus Events,
    Admission Admission,
    ResourceGroups Groups,
    IMemoryPressureSource Pressure,
    TimeProvider Clock,
    Action<string> Log);

/// <summary>
/// Workloads: the index, and one file per group of operations. No lock is held over all of them for longer than it takes
/// to look something up; each workload's changes are ordered by its own gate.
/// </summary>
internal sealed partial class WorkloadService : IWorkloads, IGroupMembers
{
    private readonly EngineServices _services;
    private readonly WorkloadStore _store;
    private readonly ConcurrentDictionary<string, Workload> _workloads = new(StringComparer.Ordinal);
    private readonly ConcurrentDictionary<string, string> _names = new(StringComparer.Ordinal);
    private readonly CancellationTokenSource _stopping = new();

    public WorkloadService(EngineServices services)
    {
        _services = services;
        _store = new WorkloadStore(Path.Combine(services.Options.DataRoot, "workloads"));
        _reclaimer = new Reclaimer(services.Options.Resources.Reclaim, services.Pressure, Reclaimables, services.Log);
    }

    private EngineOptions Options => _services.Options;

    private DateTimeOffset Now => _services.Clock.GetUtcNow();

    public IReadOnlyDictionary<WorkloadStatus, int> Counts =>
        _workloads.Values.GroupBy(workload => workload.State.Status).ToDictionary(group => group.Key, group => group.Count());

    public string? Find(string workload) => TryFind(workload)?.Id;

    /// <summary>By id, name, or unambiguous beginning of an id; throws <see cref="ErrorKind.NotFound"/>.</summary>
    internal Workload Get(string reference) =>
        TryFind(reference) ?? throw HullException.NotFound($"no such container: {reference}");

    internal IEnumerable<Workload> All => _workloads.Values;

    private Workload? TryFind(string reference)
    {
        var name = reference.TrimStart('/');
        if (name.Length == 0) return null;
        if (_workloads.TryGetValue(name, out var byId)) return byId;
        if (_names.TryGetValue(name, out var id) && _workloads.TryGetValue(id, out var byName)) return byName;
        if (name.Length >= 64 || !name.All(char.IsAsciiHexDigitLower)) return null;
        Workload? found = null;
        foreach (var (candidate, workload) in _workloads)
        {
            if (!candidate.StartsWith(name, StringComparison.Ordinal)) continue;
            if (found is not null) throw HullException.Invalid($"'{reference}' is the beginning of several ids: write more of it");
            found = workload;
        }

        return found;
    }

    private IInstanceDriver DriverOf(string isolation) =>
        _services.Drivers.TryGetValue(isolation, out var driver)
            ? driver
            : throw HullException.Unsupported($"isolation '{isolation}' is not available here: this engine has {string.Join(", ", _services.Drivers.Keys)}");

    /// <summary>Runs a change under the workload's gate.</summary>
    private static async Task<T> ChangeAsync<T>(Workload workload, Func<Task<T>> change, CancellationToken cancellationToken)
    {
        await workload.Gate.WaitAsync(cancellationToken).ConfigureAwait(false);
        try
        {
            if (workload.Removed) throw HullException.NotFound($"no such container: {workload.Name}");
            return await change().ConfigureAwait(false);
        }
        finally
        {
            workload.Gate.Release();
        }
    }

    private static Task ChangeAsync(Workload workload, Func<Task> change, CancellationToken cancellationToken) =>
        ChangeAsync(workload, async () =>
        {
            await change().ConfigureAwait(false);
            return true;
        }, cancellationToken);

    /// <summary>Changes the state from what it is at that moment, and stores it unless the workload vanishes next.</summary>
    internal void SetState(Workload workload, Func<WorkloadState, WorkloadState> change, bool store = true)
    {
        lock (workload.StateGate)
        {
            var state = change(workload.State);
            if (state == workload.State) return;
            workload.State = state;
            try
            {
                if (store && !workload.Removed) _store.Write(workload.Id, state);
            }
            catch (HullException error)
            {
                // A full disk must not end what runs; memory has the truth, and shims have the exit codes.
                _services.Log($"{workload.Name}: its state could not be stored: {error.FullMessage}");
            }
        }
    }

    internal void Publish(Workload workload, string action, params (string Name, string Value)[] more)
    {
        var attributes = new Dictionary<string, string>(workload.Record.Labels)
        {
            ["name"] = workload.Name,
            ["image"] = workload.Record.Config.Image,
            ["isolation"] = workload.Record.Isolation,
        };
        foreach (var (name, value) in more) attributes[name] = value;
        _services.Events.Publish(EventSubject.Workload, action, workload.Id, attributes);
    }

    /// <summary>Where the runtime files of an instance are; short, because sockets live there.</summary>
    private string RuntimeDirectoryOf(string id) => Path.Combine(Options.ExecRoot, "i", id[..32]);
}
