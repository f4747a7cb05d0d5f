using Hull.Api.Http;
using Hull.Core;
using Hull.Engine.Events;
using Hull.Images;
using Hull.Images.Distribution;
using Hull.Oci.Image;
using Hull.Protocol;
using Descriptor = Hull.Protocol.Descriptor;

namespace Hull.Api.Docker.Images;

/// <summary>Images between the store and the outside: registries and archives.</summary>
internal sealed class TransferEndpoints(ApiServices services)
{
    private readonly IImageService images = services.Images;

    public void Map(Router router) => router
        .Post("images/create", request => request.Query("fromSrc") is { Length: > 0 } ? ImportAsync(request) : PullAsync(request))
        .Post("images/load", LoadAsync)
        .Get("images/get", request => SaveAsync(request, [.. request.QueryAll("names").SelectMany(n => n.Split(','))]))
        .Get("images/{name*}/get", request => SaveAsync(request, [request["name"]]))
        .Post("images/{name*}/push", PushAsync)
        .Get("distribution/{name*}/json", DistributionAsync)
        .Post("auth", AuthAsync, changes: false);

    private Task PullAsync(ApiRequest request)
    {
        var reference = ReferenceOf(request.Query("fromImage"), request.Query("tag"));
        var bounds = services.Transfers();
        var options = new PullOptions
        {
            Platform = request.Query("platform") is { Length: > 0 } platform ? Platform.Parse(platform) : null,
            Parallelism = bounds.Downloads,
            Attempts = bounds.Attempts,
        };
        var stream = new ProgressStream(request);
        return stream.RunAsync(async cancellation =>
        {
            using var source = services.Registry(request, reference);
            var before = images.Find(reference.Canonical, options.Platform)?.Target.Digest;
            var image = await images.PullAsync(reference, source, options, stream, cancellation).ConfigureAwait(false);
            Publish("pull", reference.Familiar, reference.FamiliarName);
            // Not waited for: it takes longer than all before, and a machine that goes down meanwhile loses a pull, not its sense.
            _ = Task.Run(() => images.Flush(), CancellationToken.None);
            var fresh = before != image.Target.Digest;
            return
            [
                new ProgressMessage { Status = "Digest: " + image.Target.Digest },
                new ProgressMessage { Status = (fresh ? "Status: Downloaded newer image for " : "Status: Image is up to date for ") + reference.Familiar },
            ];
        });
    }

    private Task PushAsync(ApiRequest request)
    {
        var name = request["name"];
        var target = ReferenceOf(name, request.Query("tag"));
        ImageEndpoints.Find(images, target.Canonical);
        var stream = new ProgressStream(request, ProgressWords.Push);
        return stream.RunAsync(async cancellation =>
        {
            using var source = services.Registry(request, target);
            var platform = request.Query("platform") is { Length: > 0 } text && !text.StartsWith('{') ? Platform.Parse(text) : null;
            var pushed = await images.PushAsync(target.Canonical, target, source, platform, stream, cancellation).ConfigureAwait(false);
            Publish("push", target.Familiar, target.FamiliarName);
            return
            [
                new ProgressMessage { Status = $"{target.Tag ?? "latest"}: digest: {pushed.Digest} size: {pushed.Size}" },
                new ProgressMessage { ProgressDetail = new ProgressDetail(), Aux = new ProgressAux { Tag = target.Tag, Digest = pushed.Digest.ToString(), Size = pushed.Size } },
            ];
        });
    }

    private Task LoadAsync(ApiRequest request)
    {
        var quiet = request.Flag("quiet");
        var stream = new ProgressStream(request);
        return stream.RunAsync(async cancellation =>
        {
            var loaded = await images.LoadAsync(request.Body, quiet ? null : stream, cancellation).ConfigureAwait(false);
            foreach (var image in loaded) Publish("load", image.Id.ToString(), image.Id.ToString());
            return [.. loaded.SelectMany(i => i.References.Count == 0
                ? [$"Loaded image ID: {i.Id}\n"]
                : i.References.Select(r => $"Loaded image: {r.Familiar}\n")).Select(text => new ProgressMessage { Stream = text })];
        });
    }

    private async Task SaveAsync(ApiRequest request, IReadOnlyList<string> names)
    {
        if (names.Count == 0) throw HullException.Invalid("the request names no image");
        foreach (var name in names) ImageEndpoints.Find(images, name);
        request.Response.ContentType = "application/x-tar";
        await images.SaveAsync(names, ArchiveFormat.Docker, request.Response.Body, request.Disconnected).ConfigureAwait(false);
    }

    private Task ImportAsync(ApiRequest request)
    {
        if (request.Query("fromSrc") != "-")
            throw HullException.Unsupported("importing from an address is not supported: fetch it and send it (docker import - < file)");
        var reference = request.Query("repo") is { Length: > 0 } repository ? ReferenceOf(repository, request.Query("tag")) : null;
        var platform = request.Query("platform") is { Length: > 0 } text ? Platform.Parse(text) : null;
        var config = ConfigChange.Apply(new ContainerDefaults(), request.QueryAll("changes").SelectMany(change => change.Split('\n', StringSplitOptions.RemoveEmptyEntries)));
        return new ProgressStream(request).RunAsync(async cancellation =>
        {
            var image = await images.ImportAsync(request.Body, reference, config, request.Query("message"), platform, cancellation).ConfigureAwait(false);
            Publish("import", image.Id.ToString(), reference?.Familiar ?? image.Id.ToString());
            return [new ProgressMessage { Status = image.Id.ToString() }];
        });
    }

    private async Task DistributionAsync(ApiRequest request)
    {
        var reference = ImageReference.Parse(request["name"]).WithDefaultTag();
        using var source = services.Registry(request, reference);
        var resolved = await source.ResolveAsync(reference, request.Disconnected).ConfigureAwait(false);
        var platforms = resolved.Document?.Index?.Manifests.Where(m => !m.IsAttestation && m.Platform is not null).Select(m => ImageMapping.ToDescriptor(m).Platform!);
        var answer = new DistributionInspect
        {
            Descriptor = ImageMapping.ToDescriptor(resolved.Descriptor),
            Platforms = [.. platforms ?? await PlatformOfAsync(source, reference, resolved.Document, request.Disconnected).ConfigureAwait(false)],
        };
        await request.WriteJsonAsync(answer, DockerJson.Wire.DistributionInspect).ConfigureAwait(false);
    }

    private static async Task<IEnumerable<PlatformInfo>> PlatformOfAsync(RegistrySource source, ImageReference reference, ImageDocument? document, CancellationToken cancellation)
    {
        if (document?.Manifest is not { } manifest) return [];
        await using var content = await source.FetchAsync(reference, manifest.Config, 0, cancellation).ConfigureAwait(false);
        var config = await System.Text.Json.JsonSerializer.DeserializeAsync(content.Stream, ImageJson.Default.ImageConfig, cancellation).ConfigureAwait(false);
        return config is null ? [] : [new PlatformInfo { Architecture = config.Architecture, Os = config.Os, Variant = string.IsNullOrEmpty(config.Variant) ? null : config.Variant }];
    }

    private async Task AuthAsync(ApiRequest request)
    {
        var auth = await request.ReadJsonAsync(DockerJson.Wire.RegistryAuth).ConfigureAwait(false);
        var domain = DomainOf(auth.ServerAddress);
        var credential = RegistryAuthHeader.ToCredential(auth) ?? throw HullException.Invalid("the request has no credentials");
        await services.CheckLogin(domain, credential, request.Disconnected).ConfigureAwait(false);
        await request.WriteJsonAsync(new AuthAnswer { Status = "Login Succeeded" }, DockerJson.Wire.AuthAnswer).ConfigureAwait(false);
    }

    /// <summary>The registry that a login names; Docker's own goes by an old address.</summary>
    private static string DomainOf(string? server)
    {
        if (string.IsNullOrEmpty(server)) return ImageReference.DefaultDomain;
        var scheme = server.IndexOf("://", StringComparison.Ordinal);
        var host = (scheme < 0 ? server : server[(scheme + 3)..]).Split('/')[0];
        return host is "index.docker.io" or "registry-1.docker.io" ? ImageReference.DefaultDomain : host;
    }

    private static ImageReference ReferenceOf(string? name, string? tag)
    {
        var reference = ImageReference.Parse(name is { Length: > 0 } ? name : throw HullException.Invalid("the request names no image"));
        if (string.IsNullOrEmpty(tag)) return reference.WithDefaultTag();
        return Digest.TryParse(tag, out var digest) ? reference.WithDigest(digest) : reference.WithTag(tag);
    }

    private void Publish(string action, string id, string name) => services.Engine.Events.Publish(new EngineEvent(EventSubject.Image, action, id,
        new Dictionary<string, string> { ["name"] = name }, services.Clock.GetUtcNow()));
}
