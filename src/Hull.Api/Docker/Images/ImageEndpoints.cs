using Hull.Api.Http;
using Hull.Core;
using Hull.Engine.Events;
using Hull.Engine.Workloads;
using Hull.Images;
using Hull.Protocol;
using ImageSummary = Hull.Images.ImageSummary;

namespace Hull.Api.Docker.Images;

/// <summary>Images in the store: listing, showing, naming and removing them.</summary>
internal sealed class ImageEndpoints(ApiServices services)
{
    private readonly IImageService images = services.Images;

    public void Map(Router router) => router
        .Get("images/json", ListAsync)
        .Post("images/prune", PruneAsync)
        .Get("images/{name*}/json", InspectAsync)
        .Get("images/{name*}/history", HistoryAsync)
        .Post("images/{name*}/tag", TagAsync)
        .Delete("images/{name*}", RemoveAsync);

    /// <summary>Finds an image or fails in the words by which clients know that it has to be pulled.</summary>
    public static Hull.Images.Image Find(IImageService images, string name, string? platform = null) =>
        images.Find(name, string.IsNullOrEmpty(platform) ? null : Platform.Parse(platform)) ?? throw HullException.NotFound($"No such image: {name}");

    private Task ListAsync(ApiRequest request)
    {
        var filters = request.Filters().Allow("before", "dangling", "label", "reference", "since", "until");
        var dangling = filters.Boolean("dangling");
        var references = filters["reference"];
        if (request.Query("filter") is { Length: > 0 } old) references = [old];
        var (before, since) = (Created(filters.Single("before")), Created(filters.Single("since")));
        var until = Timestamps.Parse(filters.Single("until"), services.Clock.GetUtcNow());
        var sizes = !request.Version.IsAtLeast(44);
        List<Protocol.ImageSummary> rows = [.. images.List()
            .Where(i => dangling is null || i.Dangling == dangling)
            .Where(i => references.Count == 0 || references.Any(r => i.References.Any(name => ReferencePattern.Matches(r, name))))
            .Where(i => LabelFilter.Matches(i.Labels, filters["label"]))
            .Where(i => (before is null || i.Created < before) && (since is null || i.Created > since) && (until is null || i.Created < until))
            .Select(i => ImageMapping.ToSummary(i, sizes))];
        return request.WriteJsonAsync(rows, DockerJson.Wire.ListImageSummary);
    }

    private Task InspectAsync(ApiRequest request)
    {
        var image = Find(images, request["name"], request.Query("platform"));
        return request.WriteJsonAsync(ImageMapping.ToInspect(image, !request.Version.IsAtLeast(44)), DockerJson.Wire.ImageInspect);
    }

    private Task HistoryAsync(ApiRequest request)
    {
        List<ImageHistoryItem> items = [.. images.History(Find(images, request["name"])).Select(h => new ImageHistoryItem
        {
            Id = h.Id?.ToString() ?? "<missing>",
            Created = h.Created?.ToUnixTimeSeconds() ?? 0,
            CreatedBy = h.CreatedBy,
            Tags = h.References.Count > 0 ? [.. h.References.Select(r => r.Familiar)] : null,
            Size = h.Size,
            Comment = h.Comment,
        })];
        return request.WriteJsonAsync(items, DockerJson.Wire.ListImageHistoryItem);
    }

    private Task TagAsync(ApiRequest request)
    {
        var image = Find(images, request["name"]);
        var repository = request.Query("repo") is { Length: > 0 } given ? given : throw HullException.Invalid("the parameter repo is missing");
        var reference = ImageReference.Parse(repository);
        if (request.Query("tag") is { Length: > 0 } tag) reference = reference.WithTag(tag);
        if (reference.Digest is not null) throw HullException.Invalid("refusing to create a tag with a digest reference");
        images.Tag(image, reference.WithDefaultTag());
        Publish("tag", image.Id.ToString(), reference.Familiar);
        request.Status(201);
        return Task.CompletedTask;
    }

    private async Task RemoveAsync(ApiRequest request)
    {
        var name = request["name"];
        var image = Find(images, name);
        await RefuseUsedAsync(request, image, name).ConfigureAwait(false);
        await services.Engine.Workloads.FinishRemovalsAsync().ConfigureAwait(false);
        var removed = images.Remove(name, request.Flag("force"));
        List<ImageDeleteItem> items = [.. removed.SelectMany(Items)];
        foreach (var item in removed)
        {
            if (item.Untagged is { } untagged) Publish("untag", image.Id.ToString(), untagged.Familiar);
            if (item.Deleted is { } deleted) Publish("delete", deleted.ToString(), deleted.ToString());
        }

        await request.WriteJsonAsync(items, DockerJson.Wire.ListImageDeleteItem).ConfigureAwait(false);
    }

    /// <summary>An image's last name does not go while a workload is made of it.</summary>
    private async Task RefuseUsedAsync(ApiRequest request, Hull.Images.Image image, string name)
    {
        var byId = !ImageReference.TryParse(name, out var reference) || !image.References.Any(r => r.Canonical == reference.WithDefaultTag().Canonical);
        if (image.References.Count > 1 && !byId) return;
        var workloads = await services.Engine.Workloads.ListAsync(new WorkloadFilter { All = true }, false, request.Disconnected).ConfigureAwait(false);
        var user = workloads.FirstOrDefault(w => w.Uses(image.Id.ToString()) && (w.State.IsRunning || !request.Flag("force")));
        if (user is null) return;
        var container = RandomId.Short(user.Id);
        throw HullException.Conflict(user.State.IsRunning
            ? $"conflict: unable to delete {name} (cannot be forced) - image is being used by running container {container}"
            : $"conflict: unable to remove repository reference \"{name}\" (must force) - container {container} is using its referenced image {RandomId.Short(image.Id.Hex)}");
    }

    private async Task PruneAsync(ApiRequest request)
    {
        var filters = request.Filters().Allow("dangling", "label", "label!", "until");
        var until = Timestamps.Parse(filters.Single("until"), services.Clock.GetUtcNow());
        var workloads = await services.Engine.Workloads.ListAsync(new WorkloadFilter { All = true }, false, request.Disconnected).ConfigureAwait(false);
        var used = workloads.SelectMany(w => w.Mounts.Select(m => m.ImageId).Append(w.ImageId)).ToHashSet(StringComparer.Ordinal);
        bool Accept(ImageSummary image) => !used.Contains(image.Id.ToString())
            && (until is null || image.Created < until)
            && LabelFilter.Matches(image.Labels, filters["label"])
            && !filters["label!"].Any(l => LabelFilter.Matches(image.Labels, [l]));
        var all = filters.Boolean("dangling") == false;
        await services.Engine.Workloads.FinishRemovalsAsync().ConfigureAwait(false);
        var result = await Task.Run(() => images.Prune(all, Accept, request.Disconnected)).ConfigureAwait(false);
        var answer = new ImagesPruneAnswer { ImagesDeleted = result.Removed.Count == 0 ? null : [.. result.Removed.SelectMany(Items)], SpaceReclaimed = result.SpaceReclaimed };
        await request.WriteJsonAsync(answer, DockerJson.Wire.ImagesPruneAnswer).ConfigureAwait(false);
    }

    private static IEnumerable<ImageDeleteItem> Items(RemovedImage removed)
    {
        if (removed.Untagged is { } untagged) yield return new ImageDeleteItem { Untagged = untagged.Familiar };
        if (removed.Deleted is { } deleted) yield return new ImageDeleteItem { Deleted = deleted.ToString() };
    }

    private DateTimeOffset? Created(string? name) => name is null ? null : Find(images, name).Config.Created;

    private void Publish(string action, string id, string name) => services.Engine.Events.Publish(new EngineEvent(EventSubject.Image, action, id,
        new Dictionary<string, string> { ["name"] = name }, services.Clock.GetUtcNow()));
}
