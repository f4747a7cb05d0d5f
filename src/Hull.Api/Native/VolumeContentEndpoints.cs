using Hull.Api.Docker.Volumes;
using Hull.Api.Http;
using Hull.Core;
using Hull.Engine;
using Hull.Engine.Volumes;
using Hull.Protocol;

namespace Hull.Api.Native;

/// <summary>What is done with the content of volumes, below <c>/hull/v1/volumes</c>; volumes themselves are Docker's endpoints.</summary>
internal sealed class VolumeContentEndpoints(IHullEngine engine)
{
    private const string One = "hull/v1/volumes/{name}";

    public void Map(Router router) => router
        .Get(One + "/snapshots", ListAsync)
        .Post(One + "/snapshots", SnapshotAsync)
        .Delete(One + "/snapshots/{snapshot}", request => DoneAsync(request, engine.Volumes.RemoveSnapshotAsync(request["name"], request["snapshot"], CancellationToken.None)))
        .Post(One + "/snapshots/{snapshot}/restore", request => DoneAsync(request, engine.Volumes.RollBackAsync(request["name"], request["snapshot"], CancellationToken.None)))
        .Post(One + "/clone", CloneAsync)
        .Get(One + "/backup", BackUpAsync)
        .Put(One + "/backup", RestoreAsync);

    private static async Task DoneAsync(ApiRequest request, Task work)
    {
        await work.ConfigureAwait(false);
        request.Status(204);
    }

    private Task ListAsync(ApiRequest request) =>
        request.WriteJsonAsync([.. engine.Volumes.Snapshots(request["name"]).Select(ToInfo)], DockerJson.Wire.ListVolumeSnapshotInfo);

    private async Task SnapshotAsync(ApiRequest request)
    {
        var body = await request.ReadJsonAsync(DockerJson.Wire.VolumeSnapshotRequest).ConfigureAwait(false);
        var made = await engine.Volumes.SnapshotAsync(request["name"], Required(body.Name, "Name"), request.Disconnected).ConfigureAwait(false);
        await request.WriteJsonAsync(ToInfo(made), DockerJson.Wire.VolumeSnapshotInfo, 201).ConfigureAwait(false);
    }

    private async Task CloneAsync(ApiRequest request)
    {
        var body = await request.ReadJsonAsync(DockerJson.Wire.VolumeCloneRequest).ConfigureAwait(false);
        var wanted = new VolumeRequest { Name = Required(body.Name, "Name"), Options = body.DriverOpts ?? [], Labels = body.Labels ?? [] };
        var snapshot = string.IsNullOrEmpty(body.Snapshot) ? null : body.Snapshot;
        var made = await engine.Volumes.CloneAsync(request["name"], snapshot, wanted, request.Disconnected).ConfigureAwait(false);
        await request.WriteJsonAsync(VolumeEndpoints.ToInfo(made), DockerJson.Wire.VolumeInfo, 201).ConfigureAwait(false);
    }

    private async Task BackUpAsync(ApiRequest request)
    {
        // What is not there is said with a status of its own.
        _ = engine.Volumes.Get(request["name"]);
        await request.StartStreamAsync("application/x-tar").ConfigureAwait(false);
        await engine.Volumes.BackUpAsync(request["name"], request.Response.Body, request.Disconnected).ConfigureAwait(false);
    }

    private async Task RestoreAsync(ApiRequest request)
    {
        var options = request.QueryAll("opt").Select(Pair).ToDictionary(pair => pair.Key, pair => pair.Value);
        var labels = request.QueryAll("label").Select(Pair).ToDictionary(pair => pair.Key, pair => pair.Value);
        if (request.Guard is { } guard) labels = guard.AdmitVolume(options, labels);
        var wanted = new VolumeRequest { Name = request["name"], Options = options, Labels = labels };
        var made = await engine.Volumes.RestoreAsync(wanted, request.Body, request.Disconnected).ConfigureAwait(false);
        await request.WriteJsonAsync(VolumeEndpoints.ToInfo(made), DockerJson.Wire.VolumeInfo, 201).ConfigureAwait(false);
    }

    private static KeyValuePair<string, string> Pair(string text)
    {
        var equals = text.IndexOf('=', StringComparison.Ordinal);
        return equals < 0 ? new(text, "") : new(text[..equals], text[(equals + 1)..]);
    }

    private static string Required(string? value, string name) =>
        string.IsNullOrEmpty(value) ? throw HullException.Invalid($"the member {name} is missing") : value;

    private static VolumeSnapshotInfo ToInfo(VolumeSnapshot snapshot) =>
        new() { Name = snapshot.Name, CreatedAt = Timestamps.Format(snapshot.CreatedAt), Size = snapshot.Size };
}
