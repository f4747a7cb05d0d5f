using System.Globalization;
using System.Runtime.InteropServices;
using Hull.Api.Docker.Containers;
using Hull.Api.Docker.Images;
using Hull.Api.Docker.Volumes;
using Hull.Api.Http;
using Hull.Core;
using Hull.Engine.Events;
using Hull.Engine.Workloads;
using Hull.Protocol;

namespace Hull.Api.Docker.Host;

/// <summary>The engine itself: ping, version, information, events, disk usage, metrics.</summary>
internal sealed class SystemEndpoints(ApiServices services)
{
    public void Map(Router router) => router
        .Get("_ping", PingAsync)
        .Head("_ping", PingAsync)
        .Get("version", VersionAsync)
        .Get("info", InfoAsync)
        .Get("events", EventsAsync)
        .Get("system/df", DiskUsageAsync)
        .Get("metrics", MetricsAsync);

    private static string RuntimeName { get; } = RuntimeInformation.FrameworkDescription.ToLowerInvariant().Replace(' ', '-');

    private static Task PingAsync(ApiRequest request)
    {
        var headers = request.Response.Headers;
        headers["Builder-Version"] = "1";
        headers["Swarm"] = "inactive";
        headers.CacheControl = "no-cache, no-store, must-revalidate";
        headers.Pragma = "no-cache";
        return request.WriteAsync("OK"u8.ToArray(), "text/plain; charset=utf-8");
    }

    private static Task VersionAsync(ApiRequest request)
    {
        var kernel = HostFacts.KernelRelease;
        var details = new Dictionary<string, string>
        {
            ["ApiVersion"] = ApiVersion.Newest.ToString(),
            ["Arch"] = Platform.Host.Architecture,
            ["Experimental"] = "false",
            ["GitCommit"] = "",
            ["GoVersion"] = RuntimeName,
            ["BuildTime"] = "",
            ["KernelVersion"] = kernel,
            ["MinAPIVersion"] = ApiVersion.Oldest.ToString(),
            ["Os"] = "linux",
        };
        return request.WriteJsonAsync(new VersionAnswer
        {
            Platform = new PlatformName { Name = "Hull Engine" },
            Components = [new VersionComponent { Name = "Engine", Version = EngineVersion.Reported, Details = details }],
            Version = EngineVersion.Reported,
            ApiVersion = ApiVersion.Newest.ToString(),
            MinAPIVersion = ApiVersion.Oldest.ToString(),
            // Docker's clients print what its engine was built with; here that is .NET.
            GoVersion = RuntimeName,
            Arch = Platform.Host.Architecture,
            KernelVersion = kernel,
        }, DockerJson.Wire.VersionAnswer);
    }

    private Task InfoAsync(ApiRequest request) => request.WriteJsonAsync(InfoMapping.ToInfo(services), DockerJson.Wire.InfoAnswer);

    private async Task EventsAsync(ApiRequest request)
    {
        var filter = EventMapping.ToFilter(request, services.Clock.GetUtcNow());
        var events = services.Engine.Events.SubscribeAsync(filter, request.Disconnected);
        await using var lines = new JsonLines(request);
        await lines.StartAsync().ConfigureAwait(false);
        await foreach (var item in events.ConfigureAwait(false))
            await lines.WriteAsync(EventMapping.ToMessage(item), DockerJson.Wire.EventMessage).ConfigureAwait(false);
    }

    private async Task DiskUsageAsync(ApiRequest request)
    {
        var types = request.QueryAll("type");
        bool Wants(string type) => types.Count == 0 || types.Contains(type);
        var workloads = await services.Engine.Workloads.ListAsync(new WorkloadFilter { All = true }, Wants("container"), request.Disconnected).ConfigureAwait(false);
        var now = services.Clock.GetUtcNow();
        var images = services.Images.List();
        var answer = new DiskUsageAnswer { BuildCache = Wants("build-cache") ? [] : null };
        if (Wants("container")) answer.Containers = [.. workloads.Select(w => SummaryMapping.ToSummary(w, now))];
        if (Wants("image"))
        {
            answer.LayersSize = images.Sum(i => i.Size);
            answer.Images = [.. images.Select(i => WithUse(ImageMapping.ToSummary(i, !request.Version.IsAtLeast(44)), workloads))];
        }

        if (Wants("volume")) answer.Volumes = await Task.Run(VolumesWithUse).ConfigureAwait(false);
        await request.WriteJsonAsync(answer, DockerJson.Wire.DiskUsageAnswer).ConfigureAwait(false);
    }

    private static Protocol.ImageSummary WithUse(Protocol.ImageSummary image, IReadOnlyList<WorkloadSnapshot> workloads)
    {
        image.Containers = workloads.Count(w => w.Uses(image.Id));
        image.SharedSize = 0;
        return image;
    }

    private List<VolumeInfo> VolumesWithUse() => [.. services.Engine.Volumes.List().Select(v =>
    {
        var info = VolumeEndpoints.ToInfo(v);
        info.UsageData = new VolumeUsage { RefCount = services.Engine.Volumes.HoldersOf(v.Name).Count, Size = DiskUsage.Of(v.Mountpoint) };
        return info;
    })];

    private async Task MetricsAsync(ApiRequest request)
    {
        var text = await MetricsText.WriteAsync(services, request.Disconnected).ConfigureAwait(false);
        await request.WriteAsync(text, "text/plain; version=0.0.4; charset=utf-8").ConfigureAwait(false);
    }
}
