using Hull.Api.Docker.Containers;
using Hull.Api.Http;
using Hull.Core;
using Hull.Engine;
using Hull.Engine.Volumes;
using Hull.Protocol;

namespace Hull.Api.Docker.Volumes;

/// <summary>Volumes.</summary>
internal sealed class VolumeEndpoints(IHullEngine engine, TimeProvider clock)
{
    public void Map(Router router) => router
        .Get("volumes", ListAsync)
        .Post("volumes/create", CreateAsync)
        .Post("volumes/prune", PruneAsync)
        .Get("volumes/{name}", request => request.WriteJsonAsync(ToInfo(engine.Volumes.Get(request["name"])), DockerJson.Wire.VolumeInfo))
        .Put("volumes/{name}", _ => throw HullException.Unsupported("only cluster volumes can be updated, and there are none"))
        .Delete("volumes/{name}", RemoveAsync);

    public static VolumeInfo ToInfo(VolumeRecord volume) => new()
    {
        Name = volume.Name,
        Driver = volume.Driver,
        Mountpoint = volume.Mountpoint,
        CreatedAt = Timestamps.Format(volume.CreatedAt),
        Labels = volume.Labels.Count > 0 ? volume.Labels : volume.Anonymous ? new Dictionary<string, string> { [AnonymousLabel] = "" } : null,
        Options = volume.Options.Count > 0 ? volume.Options : null,
    };

    /// <summary>Docker marks volumes without a name by this label, and so do its clients' filters.</summary>
    private const string AnonymousLabel = "com.docker.volume.anonymous";

    private async Task ListAsync(ApiRequest request)
    {
        var filters = request.Filters().Allow("dangling", "driver", "label", "name");
        var dangling = filters.Boolean("dangling");
        List<VolumeInfo> volumes = [.. engine.Volumes.List()
            .Where(v => dangling is null || engine.Volumes.HoldersOf(v.Name).Count == 0 == dangling)
            .Where(v => !filters.Has("driver") || filters["driver"].Contains(v.Driver))
            .Where(v => !filters.Has("name") || filters["name"].Any(n => v.Name.Contains(n, StringComparison.Ordinal)))
            .Select(ToInfo)
            .Where(v => LabelFilter.Matches(v.Labels, filters["label"]))
            .OrderBy(v => v.Name, StringComparer.Ordinal)];
        await request.WriteJsonAsync(new VolumeList { Volumes = volumes }, DockerJson.Wire.VolumeList).ConfigureAwait(false);
    }

    private async Task CreateAsync(ApiRequest request)
    {
        var body = await request.ReadJsonAsync(DockerJson.Wire.VolumeCreateRequest, new VolumeCreateRequest()).ConfigureAwait(false);
        var volume = await engine.Volumes.CreateAsync(new VolumeRequest
        {
            Name = body.Name ?? "",
            Driver = CreateMapping.NullIfEmpty(body.Driver) ?? "local",
            Options = body.DriverOpts ?? [],
            Labels = body.Labels ?? [],
            Anonymous = string.IsNullOrEmpty(body.Name),
        }, CancellationToken.None).ConfigureAwait(false);
        await request.WriteJsonAsync(ToInfo(volume), DockerJson.Wire.VolumeInfo, 201).ConfigureAwait(false);
    }

    private async Task RemoveAsync(ApiRequest request)
    {
        await engine.Volumes.RemoveAsync(request["name"], request.Flag("force"), CancellationToken.None).ConfigureAwait(false);
        request.Status(204);
    }

    private async Task PruneAsync(ApiRequest request)
    {
        var filters = request.Filters().Allow("all", "label", "label!", "until");
        var until = Timestamps.Parse(filters.Single("until"), clock.GetUtcNow());
        // Up to 1.41 a prune took named volumes too; from then on only with all=true.
        var all = filters.Boolean("all") ?? !request.Version.IsAtLeast(42);
        var result = await engine.Volumes.PruneAsync(v => (all || v.Anonymous)
            && (until is null || v.CreatedAt < until)
            && LabelFilter.Matches(v.Labels, filters["label"])
            && !filters["label!"].Any(l => LabelFilter.Matches(v.Labels, [l])), request.Disconnected).ConfigureAwait(false);
        var answer = new VolumesPruneAnswer { VolumesDeleted = result.Removed, SpaceReclaimed = result.SpaceReclaimed };
        await request.WriteJsonAsync(answer, DockerJson.Wire.VolumesPruneAnswer).ConfigureAwait(false);
    }
}
