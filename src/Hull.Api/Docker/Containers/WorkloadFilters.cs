using System.Globalization;
using Hull.Api.Http;
using Hull.Core;
using Hull.Engine.Workloads;
using Hull.Protocol;

namespace Hull.Api.Docker.Containers;

/// <summary>Filters of lists and prunes.</summary>
internal static class WorkloadFilters
{
    public static WorkloadFilter Parse(FilterArguments filters, bool all, int limit, string? since, string? before)
    {
        filters.Allow("ancestor", "before", "exited", "expose", "health", "id", "isolation", "is-task", "label", "name",
            "network", "publish", "since", "status", "volume");
        return new WorkloadFilter
        {
            All = all,
            Last = Math.Max(0, limit),
            Ids = filters["id"],
            Names = filters["name"],
            Labels = filters["label"],
            Statuses = [.. filters["status"].Select(Status)],
            ExitCodes = [.. filters["exited"].Select(ExitCode)],
            Ancestors = filters["ancestor"],
            Before = filters.Single("before") ?? CreateMapping.NullIfEmpty(before),
            Since = filters.Single("since") ?? CreateMapping.NullIfEmpty(since),
            Volumes = filters["volume"],
            Networks = filters["network"],
            Published = filters["publish"],
            Exposed = filters["expose"],
            Health = filters["health"],
            Isolations = [.. filters["isolation"].Where(i => i != "default")],
        };
    }

    public static PruneFilter Prune(FilterArguments filters, DateTimeOffset now)
    {
        filters.Allow("label", "label!", "until", "dangling", "all");
        return new PruneFilter(Timestamps.Parse(filters.Single("until"), now), filters["label"], filters["label!"]);
    }

    private static WorkloadStatus Status(string name) => name switch
    {
        "created" => WorkloadStatus.Created,
        "running" => WorkloadStatus.Running,
        "paused" => WorkloadStatus.Paused,
        "restarting" => WorkloadStatus.Restarting,
        "removing" => WorkloadStatus.Removing,
        "exited" => WorkloadStatus.Exited,
        "dead" => WorkloadStatus.Dead,
        _ => throw HullException.Invalid($"invalid filter 'status={name}'"),
    };

    private static int ExitCode(string text) => int.TryParse(text, NumberStyles.AllowLeadingSign, CultureInfo.InvariantCulture, out var code)
        ? code
        : throw HullException.Invalid($"invalid filter 'exited={text}'");
}
