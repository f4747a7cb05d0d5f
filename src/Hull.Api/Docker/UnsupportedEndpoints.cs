using Hull.Api.Http;
using Hull.Core;

namespace Hull.Api.Docker;

/// <summary>Parts of the API that are not there, each with the reason, so that nobody takes silence for success.</summary>
internal static class UnsupportedEndpoints
{
    private const string Swarm = "This node is not a swarm manager: Hull runs one machine and has no cluster manager, use Kubernetes for many";
    private const string Plugins = "plugins are not supported: volumes, networks and log drivers are built in";
    private const string Checkpoints = "checkpoints of containers are not supported by this engine";
    private const string Build = "building images is not supported by this engine yet: build with buildah or buildx (docker-container driver) and load or push the result";

    public static void Map(Router router)
    {
        foreach (var path in new[] { "swarm", "nodes", "services", "tasks", "secrets", "configs" })
        {
            // Clients such as Portainer ask for these lists to find out; 503 is what dockerd says outside of a swarm.
            Refuse(router, path, ErrorKind.Unavailable, Swarm);
        }

        Refuse(router, "plugins", ErrorKind.Unsupported, Plugins);
        Refuse(router, "build", ErrorKind.Unsupported, Build);
        Refuse(router, "session", ErrorKind.Unsupported, Build);
        Refuse(router, "grpc", ErrorKind.Unsupported, Build);
        router.Get("containers/{id}/checkpoints", _ => throw new HullException(ErrorKind.Unsupported, Checkpoints))
            .Post("containers/{id}/checkpoints", _ => throw new HullException(ErrorKind.Unsupported, Checkpoints))
            .Delete("containers/{id}/checkpoints/{checkpoint}", _ => throw new HullException(ErrorKind.Unsupported, Checkpoints))
            .Get("containers/{id}/attach/ws", _ => throw HullException.Unsupported("attaching over a web socket is not supported: use attach with an upgrade to tcp"))
            .Get("images/search", _ => throw HullException.Unsupported("searching is not supported: registries have no common way to search, look on the registry's own pages"));
    }

    private static void Refuse(Router router, string path, ErrorKind kind, string reason)
    {
        async Task Handler(ApiRequest request)
        {
            await request.DrainAsync().ConfigureAwait(false);
            throw new HullException(kind, reason);
        }

        router.Get(path, Handler).Post(path, Handler)
            .Get(path + "/{rest*}", Handler).Post(path + "/{rest*}", Handler).Delete(path + "/{rest*}", Handler);
    }
}
