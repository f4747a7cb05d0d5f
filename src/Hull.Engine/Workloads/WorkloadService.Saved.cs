using System.Text.Json.Serialization;
using Hull.Core;
using Hull.Engine.Drivers;
using Hull.Linux.Files;

namespace Hull.Engine.Workloads;

/// <summary>Duplicating a running workload, and going back to what it was.</summary>
internal sealed partial class WorkloadService
{
    private const string SavedDirectory = "saved";
    private const string RecordName = "snapshot.json";

    public async Task<ForkResult> ForkAsync(string workload, ForkRequest request, CancellationToken cancellationToken)
    {
        var source = Get(workload);
        var count = Math.Max(request.Count, request.Names.Count);
        if (count is < 1 or > 64) throw HullException.Invalid($"cannot make {count} forks: 1 to 64 at a time");
        foreach (var name in request.Names) CheckName(name);
        DriverOf(source.Record.Isolation).Capabilities.Demand(InstanceCapability.Fork, "fork");
        var directory = Path.Combine(_store.DirectoryOf(source.Id), "fork-" + RandomId.New()[..12]);
        try
        {
            using var saved = await ChangeAsync(source, () => RequireActive(source).SaveAsync(directory, keep: false, cancellationToken), cancellationToken).ConfigureAwait(false);
            saved.IsForOne = count == 1;
            var forks = new string[count];
            // Side by side, for as many as there are processors: most of a start is waiting for something.
            await Parallel.ForAsync(0, count, new ParallelOptions { MaxDegreeOfParallelism = Environment.ProcessorCount, CancellationToken = cancellationToken },
                async (index, cancellation) => forks[index] = await StartForkAsync(source, request.Names.ElementAtOrDefault(index), saved, cancellation).ConfigureAwait(false)).ConfigureAwait(false);
            Publish(source, "fork", ("count", count.ToString(System.Globalization.CultureInfo.InvariantCulture)));
            return new ForkResult(forks, saved.Pause);
        }
        finally
        {
            if (Directory.Exists(directory)) Directory.Delete(directory, recursive: true);
        }
    }

    public async Task<SnapshotResult> SaveSnapshotAsync(string workload, string name, CancellationToken cancellationToken)
    {
        CheckName(name);
        var target = Get(workload);
        DriverOf(target.Record.Isolation).Capabilities.Demand(InstanceCapability.Snapshot, "snapshot");
        return await ChangeAsync(target, async () =>
        {
            var directory = SnapshotDirectory(target, name);
            if (Directory.Exists(directory)) throw HullException.Exists($"{target.Name} has a snapshot {name} already");
            Directory.CreateDirectory(Path.GetDirectoryName(directory)!);
            using var saved = await RequireActive(target).SaveAsync(directory, keep: true, cancellationToken).ConfigureAwait(false);
            var record = new SavedSnapshot(name, Now);
            AtomicFile.WriteJson(Path.Combine(directory, RecordName), record, SavedJson.Default.SavedSnapshot);
            Publish(target, "snapshot", ("snapshot", name));
            return new SnapshotResult(record, saved.Pause);
        }, cancellationToken).ConfigureAwait(false);
    }

    public IReadOnlyList<SavedSnapshot> Snapshots(string workload)
    {
        var directory = Path.Combine(_store.DirectoryOf(Get(workload).Id), SavedDirectory);
        if (!Directory.Exists(directory)) return [];
        return
        [
            .. Directory.GetDirectories(directory)
                // Written last: one without is not whole.
                .Select(one => AtomicFile.TryReadJson(Path.Combine(one, RecordName), SavedJson.Default.SavedSnapshot)).OfType<SavedSnapshot>()
                .OrderBy(snapshot => snapshot.CreatedAt),
        ];
    }

    public async Task RestoreSnapshotAsync(string workload, string name, CancellationToken cancellationToken)
    {
        var target = Get(workload);
        await ChangeAsync(target, async () =>
        {
            using var saved = DriverOf(target.Record.Isolation).OpenSaved(RequireSnapshot(target, name));
            CancelRestart(target);
            if (target.Instance is { } instance && target.State.IsRunning)
            {
                target.StopRequested = target.KeepForRestart = true;
                await instance.SignalAsync(9, everyProcess: true, cancellationToken).ConfigureAwait(false);
                await instance.Exited.WaitAsync(cancellationToken).ConfigureAwait(false);
                await target.Ended.ConfigureAwait(false);
            }

            target.StopRequested = target.KeepForRestart = false;
            await StartCoreAsync(target, cancellationToken, saved).ConfigureAwait(false);
            Publish(target, "restore", ("snapshot", name));
        }, cancellationToken).ConfigureAwait(false);
    }

    public Task RemoveSnapshotAsync(string workload, string name, CancellationToken cancellationToken)
    {
        var target = Get(workload);
        return ChangeAsync(target, () => Task.Run(() => Directory.Delete(RequireSnapshot(target, name), recursive: true), cancellationToken), cancellationToken);
    }

    private string SnapshotDirectory(Workload workload, string name) => Path.Combine(_store.DirectoryOf(workload.Id), SavedDirectory, name);

    private string RequireSnapshot(Workload workload, string name)
    {
        CheckName(name);
        var directory = SnapshotDirectory(workload, name);
        return Directory.Exists(directory) ? directory : throw HullException.NotFound($"{workload.Name} has no snapshot {name}");
    }

    private static IInstance RequireActive(Workload workload)
    {
        if (workload.State.Status == WorkloadStatus.Paused) throw HullException.Conflict($"{workload.Name} is paused: unpause it first");
        return workload.RequireRunning();
    }

    private async Task<string> StartForkAsync(Workload source, string? name, ISavedInstance saved, CancellationToken cancellationToken)
    {
        var id = (await CreateAsync(ForkOf(source.Record.Config, name), cancellationToken).ConfigureAwait(false)).Id;
        var fork = Get(id);
        try
        {
            await ChangeAsync(fork, () => StartCoreAsync(fork, cancellationToken, saved), cancellationToken).ConfigureAwait(false);
            return id;
        }
        catch
        {
            if (!fork.Record.Config.AutoRemove) await RemoveAsync(id, new RemoveRequest(Force: true), CancellationToken.None).ConfigureAwait(false);
            throw;
        }
    }

    /// <summary>The same, but for what only one can have: name, addresses and ports of the host, which become free ones.</summary>
    private static WorkloadConfig ForkOf(WorkloadConfig config, string? name) => config with
    {
        Name = name,
        Networking = config.Networking with
        {
            Hostname = null,
            MacAddress = null,
            Networks = config.Networking.Networks.ToDictionary(pair => pair.Key,
                pair => pair.Value with { Ipv4Address = null, Ipv6Address = null, MacAddress = null, Aliases = [] }),
            Ports = [.. config.Networking.Ports.Select(port => port with { HostPort = 0, HostPortEnd = 0 })],
        },
    };
}

[JsonSourceGenerationOptions(PropertyNamingPolicy = JsonKnownNamingPolicy.CamelCase)]
[JsonSerializable(typeof(SavedSnapshot))]
internal sealed partial class SavedJson : JsonSerializerContext;
