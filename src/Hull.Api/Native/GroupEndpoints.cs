using Hull.Api.Docker.Containers;
using Hull.Api.Http;
using Hull.Core;
using Hull.Engine.Resources;
using Hull.Protocol;
using Hull.Protocol.Containers;

namespace Hull.Api.Native;

/// <summary>Groups of workloads, and who gets what, in the engine's own API below <c>/hull/v1/groups</c>.</summary>
internal sealed class GroupEndpoints(ApiServices services)
{
    private const string All = "hull/v1/groups";
    private const string One = All + "/{name}";

    private IResourceGroups Groups => services.Engine.Groups;

    public void Map(Router router) => router
        .Get(All, request => request.WriteJsonAsync(Groups.List().Select(ToResource).ToList(), GroupProtocolJson.Default.ListGroupResource))
        .Post(All, async request =>
        {
            var body = await request.ReadJsonAsync(GroupProtocolJson.Default.GroupRequest).ConfigureAwait(false);
            var group = Groups.Create(body.Name ?? throw HullException.Invalid("the request names no group"), ResourceMapping.ToLimits(body.Resources ?? new ResourceSettings()));
            await AnswerAsync(request, group.Name, 201).ConfigureAwait(false);
        })
        .Get("hull/v1/allocations", AllocationsAsync)
        .Get(One, request => AnswerAsync(request, request["name"]))
        .Put(One, async request =>
        {
            var body = await request.ReadJsonAsync(GroupProtocolJson.Default.GroupRequest).ConfigureAwait(false);
            var group = await Groups.UpdateAsync(request["name"], ResourceMapping.ToLimits(body.Resources ?? new ResourceSettings()), request.Disconnected).ConfigureAwait(false);
            await AnswerAsync(request, group.Name).ConfigureAwait(false);
        })
        .Delete(One, request =>
        {
            Groups.Remove(request["name"]);
            request.Status(204);
            return Task.CompletedTask;
        });

    private async Task AllocationsAsync(ApiRequest request)
    {
        var all = await services.Engine.Workloads.AllocationsAsync(request.Disconnected).ConfigureAwait(false);
        await request.WriteJsonAsync([.. all.Select(ToResource)], GroupProtocolJson.Default.ListAllocationResource).ConfigureAwait(false);
    }

    private static AllocationResource ToResource(Allocation one)
    {
        var settings = new ResourceSettings();
        ResourceMapping.Show(one.Limits, settings);
        return new AllocationResource(one.Id, one.Name, one.Isolation, one.Group ?? "", one.Priority, settings, one.Reserved.NanoCpus, one.Reserved.MemoryBytes,
            one.Taken?.Bytes ?? 0, one.Taken?.Above ?? 0);
    }

    private Task AnswerAsync(ApiRequest request, string name, int status = 200) =>
        request.WriteJsonAsync(ToResource(Groups.Get(name)), GroupProtocolJson.Default.GroupResource, status);

    private static GroupResource ToResource(GroupStatus status)
    {
        var settings = new ResourceSettings();
        ResourceMapping.Show(status.Group.Resources, settings);
        return new GroupResource(status.Group.Name, status.Group.CreatedAt, settings, [.. status.Members], status.ReservedByMembers.NanoCpus, status.ReservedByMembers.MemoryBytes);
    }
}
