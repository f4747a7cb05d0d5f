using Hull.Api.Http;
using Hull.Engine;
using Hull.Engine.Workloads;
using Hull.Protocol.Containers;

namespace Hull.Api.Native;

/// <summary>Forks and snapshots of running workloads, in the engine's own API below <c>/hull/v1/workloads</c>.</summary>
internal sealed class SavedEndpoints(ApiServices services)
{
    private const string One = "hull/v1/workloads/{name}";

    private IWorkloads Workloads => services.Engine.Workloads;

    public void Map(Router router) => router
        .Post(One + "/fork", ForkAsync)
        .Get(One + "/snapshots", request => request.WriteJsonAsync(
            Workloads.Snapshots(request["name"]).Select(snapshot => ToResource(snapshot, TimeSpan.Zero)).ToList(), WorkloadProtocolJson.Default.ListWorkloadSnapshotResource))
        .Post(One + "/snapshots", SaveAsync)
        .Post(One + "/snapshots/{snapshot}/restore", async request =>
        {
            await Workloads.RestoreSnapshotAsync(request["name"], request["snapshot"], request.Disconnected).ConfigureAwait(false);
            request.Status(204);
        })
        .Delete(One + "/snapshots/{snapshot}", async request =>
        {
            await Workloads.RemoveSnapshotAsync(request["name"], request["snapshot"], request.Disconnected).ConfigureAwait(false);
            request.Status(204);
        });

    private async Task ForkAsync(ApiRequest request)
    {
        var body = await request.ReadJsonAsync(WorkloadProtocolJson.Default.ForkWorkloadRequest).ConfigureAwait(false);
        var result = await Workloads.ForkAsync(request["name"], new ForkRequest(body.Count, body.Names ?? []), request.Disconnected).ConfigureAwait(false);
        var names = new List<string>();
        foreach (var id in result.Ids) names.Add((await Workloads.InspectAsync(id, false, request.Disconnected).ConfigureAwait(false)).Name);
        await request.WriteJsonAsync(new ForkWorkloadAnswer(names, result.Pause.TotalMilliseconds), WorkloadProtocolJson.Default.ForkWorkloadAnswer, 201).ConfigureAwait(false);
    }

    private async Task SaveAsync(ApiRequest request)
    {
        var body = await request.ReadJsonAsync(WorkloadProtocolJson.Default.WorkloadSnapshotRequest).ConfigureAwait(false);
        var result = await Workloads.SaveSnapshotAsync(request["name"], body.Name, request.Disconnected).ConfigureAwait(false);
        await request.WriteJsonAsync(ToResource(result.Snapshot, result.Pause), WorkloadProtocolJson.Default.WorkloadSnapshotResource, 201).ConfigureAwait(false);
    }

    private static WorkloadSnapshotResource ToResource(SavedSnapshot snapshot, TimeSpan pause) =>
        new(snapshot.Name, snapshot.CreatedAt, pause.TotalMilliseconds);
}
