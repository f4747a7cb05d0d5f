using Hull.Core;
using Hull.Engine.Drivers;
using Hull.Images;
using Hull.Oci.Image;

namespace Hull.Engine.Workloads;

/// <summary>Files in and out, changes, export and commit.</summary>
internal sealed partial class WorkloadService
{
    public Task<PathStat> StatPathAsync(string workload, string path, CancellationToken cancellationToken) =>
        WithRootAsync(Get(workload), root => root.StatAsync(path, cancellationToken), cancellationToken);

    public async Task ReadArchiveAsync(string workload, string path, Func<PathStat, CancellationToken, Task<Stream>> destination,
        CancellationToken cancellationToken)
    {
        var target = Get(workload);
        await WithRootAsync(target, async root =>
        {
            var stat = await root.StatAsync(path, cancellationToken).ConfigureAwait(false);
            var stream = await destination(stat, cancellationToken).ConfigureAwait(false);
            await root.ReadAsync(path, stream, cancellationToken).ConfigureAwait(false);
            return true;
        }, cancellationToken).ConfigureAwait(false);
        Publish(target, "archive-path");
    }

    public async Task WriteArchiveAsync(string workload, ArchivePutRequest request, Stream archive, CancellationToken cancellationToken)
    {
        var target = Get(workload);
        if (target.Record.Config.Security.ReadOnlyRoot && !target.State.IsRunning)
            throw new HullException(ErrorKind.PermissionDenied, "container rootfs is marked read-only");
        await WithRootAsync(target, async root =>
        {
            await root.WriteAsync(request, archive, cancellationToken).ConfigureAwait(false);
            return true;
        }, cancellationToken).ConfigureAwait(false);
        Publish(target, "extract-to-dir");
    }

    public Task<IReadOnlyList<FileChange>> ChangesAsync(string workload, CancellationToken cancellationToken)
    {
        var target = Get(workload);
        if (!target.Record.HasSnapshot) throw HullException.Unsupported($"{target.Name} has no image to compare with");
        return ReadChangesAsync(target.Record, cancellationToken);
    }

    private async Task<IReadOnlyList<FileChange>> ReadChangesAsync(WorkloadRecord record, CancellationToken cancellationToken)
    {
        var changes = await _services.Images!.Snapshotter.ChangesAsync(record.Id, cancellationToken).ConfigureAwait(false);
        return MountTraces.Without([.. changes.Select(change => new FileChange(change.Path, (ChangeKind)(int)change.Kind))], record.Mounts.Select(mount => mount.Target));
    }

    public async Task ExportAsync(string workload, Stream destination, CancellationToken cancellationToken)
    {
        var target = Get(workload);
        if (target.Record.HasSnapshot && !target.State.IsRunning)
            await _services.Images!.ExportAsync(target.Id, destination, cancellationToken).ConfigureAwait(false);
        else
        {
            await WithRootAsync(target, async root =>
            {
                await root.ReadTreeAsync(destination, cancellationToken).ConfigureAwait(false);
                return true;
            }, cancellationToken).ConfigureAwait(false);
        }

        Publish(target, "export");
    }

    public async Task<string> CommitAsync(string workload, CommitRequest request, CancellationToken cancellationToken)
    {
        var target = Get(workload);
        if (!target.Record.HasSnapshot) throw HullException.Unsupported($"{target.Name} has no image to build upon");
        var pause = request.Pause && target.State.Status == WorkloadStatus.Running && DriverOf(target.Record.Isolation).Capabilities.Has(InstanceCapability.Pause);
        if (pause) await PauseAsync(target.Id, cancellationToken).ConfigureAwait(false);
        try
        {
            var image = await _services.Images!.CommitAsync(target.Id, new CommitOptions
            {
                Base = _services.Images.Find(target.Record.ImageId),
                Config = CommitConfig.For(target.Record, request),
                Reference = request.Reference is { Length: > 0 } reference ? ImageReference.Parse(reference) : null,
                Author = request.Author.Length > 0 ? request.Author : null,
                Comment = request.Comment.Length > 0 ? request.Comment : null,
                CreatedBy = string.Join(' ', target.Record.Process.Arguments),
                Container = target.Id,
            }, cancellationToken).ConfigureAwait(false);
            Publish(target, "commit", ("comment", request.Comment), ("imageID", image.Id.ToString()));
            return image.Id.ToString();
        }
        finally
        {
            if (pause) await UnpauseAsync(target.Id, CancellationToken.None).ConfigureAwait(false);
        }
    }

    /// <summary>Lends the root for the time of an operation: the live one, or one mounted for it alone.</summary>
    private async Task<T> WithRootAsync<T>(Workload workload, Func<IRootAccess, Task<T>> use, CancellationToken cancellationToken)
    {
        var driver = DriverOf(workload.Record.Isolation);
        IRootAccess? root = null;
        if (workload.State.IsRunning && workload.Instance is { } instance)
        {
            driver.Capabilities.Demand(InstanceCapability.LiveRootAccess, "access to its files");
            root = await instance.OpenRootAsync(cancellationToken).ConfigureAwait(false);
        }

        if (root is not null)
        {
            await using (root.ConfigureAwait(false)) return await use(root).ConfigureAwait(false);
        }

        // The gate keeps it from being started over a root that is being written to.
        return await ChangeAsync(workload, async () =>
        {
            await workload.Ended.ConfigureAwait(false);
            try
            {
                var mounts = await MountVolumesAsync(workload.Record, cancellationToken).ConfigureAwait(false);
                var stopped = await driver.OpenStoppedRootAsync(BuildInstance(workload, NoNetwork, mounts), cancellationToken).ConfigureAwait(false);
                await using (stopped.ConfigureAwait(false)) return await use(stopped).ConfigureAwait(false);
            }
            finally
            {
                await UnmountVolumesAsync(workload.Record).ConfigureAwait(false);
            }
        }, cancellationToken).ConfigureAwait(false);
    }
}

/// <summary>The config of an image made of a workload: the workload's process, with the changes asked for.</summary>
internal static class CommitConfig
{
    public static ContainerDefaults For(WorkloadRecord record, CommitRequest request)
    {
        var process = request.Process;
        var effective = record.Process;
        var config = new ContainerDefaults
        {
            User = process?.User ?? Null(effective.User),
            Env = process is { Environment.Count: > 0 } ? process.Environment : effective.Environment,
            Entrypoint = process?.Entrypoint ?? (effective.Entrypoint.Count > 0 ? effective.Entrypoint : null),
            Cmd = process?.Command ?? effective.Command,
            WorkingDir = process?.WorkingDirectory ?? Null(effective.WorkingDirectory),
            Labels = request.Labels is { } labels ? Merge(record.Labels, labels) : record.Labels,
            StopSignal = process?.StopSignal ?? (effective.StopSignal == "SIGTERM" ? null : effective.StopSignal),
            ExposedPorts = Set(request.ExposedPorts ?? effective.ExposedPorts),
            Volumes = Set(effective.AnonymousVolumes),
        };
        return ConfigChange.Apply(config, request.Changes);
    }

    private static Dictionary<string, string> Merge(IReadOnlyDictionary<string, string> lower, IReadOnlyDictionary<string, string> upper)
    {
        var merged = new Dictionary<string, string>(lower);
        foreach (var (key, value) in upper) merged[key] = value;
        return merged;
    }

    private static string? Null(string text) => text.Length == 0 || text == "/" ? null : text;

    private static Dictionary<string, Empty>? Set(IReadOnlyList<string> names) =>
        names.Count == 0 ? null : names.Distinct().ToDictionary(name => name, _ => Empty.Value);
}
