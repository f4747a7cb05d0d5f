using Hull.Core;
using Hull.Engine;

namespace Hull.Api.Http;

/// <summary>
/// The one gate between a parsed request and what answers it. What it does not understand it refuses: an endpoint that is
/// on none of its lists is for callers without a label alone.
/// </summary>
internal sealed class Authorization(AccessPolicy policy, IHullEngine engine)
{
    /// <summary>About the engine itself; says nothing of anybody's workloads.</summary>
    private static readonly HashSet<string> s_public = ["_ping", "version", "info"];

    /// <summary>Lists and prunes; <see cref="ApiRequest.Filters"/> adds the label.</summary>
    private static readonly HashSet<string> s_lists =
        ["containers/json", "containers/prune", "networks", "networks/prune", "volumes", "volumes/prune", "events"];

    /// <summary>Makers; <see cref="ScopeGuard"/> judges the body and adds the label.</summary>
    private static readonly HashSet<string> s_makers = ["containers/create", "networks/create", "volumes/create", "hull/v1/run"];

    /// <summary>Images belong to all: they may be looked at.</summary>
    private static readonly HashSet<string> s_images = ["images/json", "images/{name*}/json", "images/{name*}/history"];

    public async Task CheckAsync(ApiRequest request, Route route)
    {
        var access = policy.Identify(request);
        request.Access = access;
        if (route.Changes && access.ReadOnly)
            throw new HullException(ErrorKind.PermissionDenied, $"'{access.Name}' may only read, and {request.Method} /{route.Pattern} changes something");
        if (access.Label is null) return;
        var guard = new ScopeGuard(engine, access);
        request.Guard = guard;
        if (s_public.Contains(route.Pattern) || s_lists.Contains(route.Pattern) || s_makers.Contains(route.Pattern)) return;
        if (s_images.Contains(route.Pattern) && !route.Changes) return;
        if (await ResolveAsync(request, route, guard).ConfigureAwait(false)) return;
        throw new HullException(ErrorKind.PermissionDenied,
            $"'{access.Name}' may only deal with what is labelled {access.Label}, and {request.Method} /{route.Pattern} concerns the whole engine");
    }

    /// <summary>
    /// Whether the path names one object, which then is in the scope: others are answered as if they did not exist. The
    /// name is replaced by what it was found to mean, so that nothing else can take it in between.
    /// </summary>
    private async Task<bool> ResolveAsync(ApiRequest request, Route route, ScopeGuard guard)
    {
        var (key, meaning) = route.Pattern.Split('/') switch
        {
            ["containers", "{id}", ..] => ("id", await guard.WorkloadAsync(request["id"]).ConfigureAwait(false)),
            ["exec", "{id}", ..] => ("id", await guard.ExecAsync(request["id"]).ConfigureAwait(false)),
            ["networks", "{id}", ..] => ("id", guard.Network(request["id"])),
            ["volumes", "{name}"] => ("name", guard.Volume(request["name"])),
            ["hull", "v1", "workloads", "{name}", ..] => ("name", await guard.WorkloadAsync(request["name"]).ConfigureAwait(false)),
            ["hull", "v1", "exec"] => ("container", await guard.WorkloadAsync(request.Query("container") ?? "").ConfigureAwait(false)),
            // A backup is restored to a volume that is new.
            ["hull", "v1", "volumes", "{name}", "backup"] when request.Method == "PUT" => ("name", guard.NewVolume(request["name"])),
            ["hull", "v1", "volumes", "{name}", ..] => ("name", guard.Volume(request["name"])),
            _ => ("", ""),
        };
        if (key.Length == 0) return false;
        request.Values = new Dictionary<string, string>(request.Values) { [key] = meaning };
        return true;
    }
}
