using Hull.Api.Docker.Containers;
using Hull.Api.Http;
using Hull.Core;
using Hull.Engine;
using Hull.Engine.Events;
using Hull.Network;
using Hull.Protocol;

namespace Hull.Api.Docker.Networks;

/// <summary>Networks.</summary>
internal sealed class NetworkEndpoints(IHullEngine engine, TimeProvider clock)
{
    public void Map(Router router) => router
        .Get("networks", ListAsync)
        .Post("networks/create", CreateAsync)
        .Post("networks/prune", PruneAsync)
        .Get("networks/{id}", InspectAsync)
        .Post("networks/{id}/connect", ConnectAsync)
        .Post("networks/{id}/disconnect", DisconnectAsync)
        .Delete("networks/{id}", RemoveAsync);

    private Task ListAsync(ApiRequest request)
    {
        var filters = request.Filters().Allow("dangling", "driver", "id", "label", "name", "scope", "type");
        var dangling = filters.Boolean("dangling");
        List<NetworkResource> networks = [.. engine.Networks.Networks
            .Where(n => !filters.Has("id") || filters["id"].Any(i => n.Id.StartsWith(i, StringComparison.Ordinal)))
            .Where(n => !filters.Has("name") || filters["name"].Any(name => n.Name.Contains(name, StringComparison.Ordinal)))
            .Where(n => !filters.Has("driver") || filters["driver"].Contains(NetworkMapping.DriverName(n.Spec.Driver)))
            .Where(n => !filters.Has("scope") || filters["scope"].Contains("local"))
            .Where(n => !filters.Has("type") || filters["type"].Contains(n.Predefined ? "builtin" : "custom"))
            .Where(n => dangling is null || (!n.Predefined && engine.Networks.EndpointsOf(n.Id).Count == 0) == dangling)
            .Where(n => LabelFilter.Matches(n.Spec.Labels, filters["label"]))
            .Select(n => request.Version.IsAtLeast(28) ? NetworkMapping.ToResource(n) : WithContainers(n))];
        return request.WriteJsonAsync(networks, DockerJson.Wire.ListNetworkResource);
    }

    private async Task CreateAsync(ApiRequest request)
    {
        var body = await request.ReadJsonAsync(DockerJson.Wire.NetworkCreateRequest).ConfigureAwait(false);
        var spec = NetworkMapping.ToSpec(body);
        if (engine.Networks.Networks.Any(n => n.Name == spec.Name)) throw HullException.Exists($"network with name {spec.Name} already exists");
        var network = await engine.Networks.CreateNetworkAsync(spec, CancellationToken.None).ConfigureAwait(false);
        Publish("create", network);
        await request.WriteJsonAsync(new NetworkCreateAnswer { Id = network.Id }, DockerJson.Wire.NetworkCreateAnswer, 201).ConfigureAwait(false);
    }

    private Task InspectAsync(ApiRequest request) =>
        request.WriteJsonAsync(WithContainers(engine.Networks.GetNetwork(request["id"])), DockerJson.Wire.NetworkResource);

    private async Task ConnectAsync(ApiRequest request)
    {
        var body = await request.ReadJsonAsync(DockerJson.Wire.NetworkConnectRequest).ConfigureAwait(false);
        var container = body.Container is { Length: > 0 } given ? given : throw HullException.Invalid("the request names no container");
        var network = engine.Networks.GetNetwork(request["id"]);
        await engine.Workloads.ConnectAsync(container, network.Name, NetworkingMapping.ToAttachment(body.EndpointConfig), CancellationToken.None).ConfigureAwait(false);
        request.Status(200);
    }

    private async Task DisconnectAsync(ApiRequest request)
    {
        var body = await request.ReadJsonAsync(DockerJson.Wire.NetworkDisconnectRequest).ConfigureAwait(false);
        var container = body.Container is { Length: > 0 } given ? given : throw HullException.Invalid("the request names no container");
        var network = engine.Networks.GetNetwork(request["id"]);
        await engine.Workloads.DisconnectAsync(container, network.Name, body.Force, CancellationToken.None).ConfigureAwait(false);
        request.Status(200);
    }

    private async Task RemoveAsync(ApiRequest request)
    {
        var network = engine.Networks.GetNetwork(request["id"]);
        await engine.Networks.RemoveNetworkAsync(network.Id, CancellationToken.None).ConfigureAwait(false);
        Publish("destroy", network);
        request.Status(204);
    }

    private async Task PruneAsync(ApiRequest request)
    {
        var filters = request.Filters().Allow("label", "label!", "until");
        var until = Timestamps.Parse(filters.Single("until"), clock.GetUtcNow());
        // A network that a stopped workload is to come back to is in use, although nothing is on it now.
        var wanted = await WantedAsync(request.Disconnected).ConfigureAwait(false);
        var removed = await engine.Networks.PruneNetworksAsync(n => !wanted.Contains(n.Name) && !wanted.Contains(n.Id)
            && (until is null || n.Created < until)
            && LabelFilter.Matches(n.Spec.Labels, filters["label"])
            && !filters["label!"].Any(l => LabelFilter.Matches(n.Spec.Labels, [l])), request.Disconnected).ConfigureAwait(false);
        foreach (var network in removed) Publish("destroy", network);
        var answer = new NetworksPruneAnswer { NetworksDeleted = removed.Count == 0 ? null : [.. removed.Select(n => n.Name)] };
        await request.WriteJsonAsync(answer, DockerJson.Wire.NetworksPruneAnswer).ConfigureAwait(false);
    }

    private async Task<HashSet<string>> WantedAsync(CancellationToken cancellationToken)
    {
        var workloads = await engine.Workloads.ListAsync(new Hull.Engine.Workloads.WorkloadFilter { All = true }, false, cancellationToken).ConfigureAwait(false);
        return [.. workloads.SelectMany(w => w.Networking.Networks.Keys.Concat(w.Config.Networking.Networks.Keys).Append(w.Config.Networking.Mode ?? "bridge"))];
    }

    private NetworkResource WithContainers(NetworkRecord network)
    {
        var resource = NetworkMapping.ToResource(network);
        foreach (var endpoint in engine.Networks.EndpointsOf(network.Id))
        {
            resource.Containers[endpoint.InstanceId] = new NetworkContainer
            {
                Name = engine.Networks.FindInstance(endpoint.InstanceId)?.Name ?? "",
                EndpointID = endpoint.Id,
                MacAddress = endpoint.MacAddress,
                IPv4Address = endpoint.IPv4Address is { } v4 ? $"{v4}/{endpoint.IPv4PrefixLength}" : "",
                IPv6Address = endpoint.IPv6Address is { } v6 ? $"{v6}/{endpoint.IPv6PrefixLength}" : "",
            };
        }

        return resource;
    }

    private void Publish(string action, NetworkRecord network) => engine.Events.Publish(new EngineEvent(EventSubject.Network, action, network.Id,
        new Dictionary<string, string> { ["name"] = network.Name, ["type"] = NetworkMapping.DriverName(network.Spec.Driver) }, clock.GetUtcNow()));
}
