using Hull.Api.Http;
using Hull.Core;
using Hull.Engine.Events;
using Hull.Protocol;

namespace Hull.Api.Docker.Host;

/// <summary>Events in Docker's words and their filters in the engine's.</summary>
internal static class EventMapping
{
    public static EventFilter ToFilter(ApiRequest request, DateTimeOffset now)
    {
        var filters = request.Filters().Allow("config", "container", "daemon", "event", "image", "label", "network",
            "node", "plugin", "scope", "secret", "service", "type", "volume");
        var since = Timestamps.Parse(request.Query("since"), now);
        var until = Timestamps.Parse(request.Query("until"), now);
        if (since is not null && until < since) throw HullException.Invalid("until is before since");
        return new EventFilter
        {
            Since = since,
            Until = until,
            Subjects = [.. filters["type"].Where(IsKnown).Select(Subject)],
            // A type that does not exist here matches nothing rather than everything.
            Actions = filters.Has("type") && !filters["type"].Any(IsKnown) || Swarm(filters) ? ["\0"] : filters["event"],
            Workloads = filters["container"],
            Images = filters["image"],
            Volumes = filters["volume"],
            Networks = filters["network"],
            Labels = filters["label"],
        };
    }

    public static EventMessage ToMessage(EngineEvent item)
    {
        var legacy = item.Subject is EventSubject.Workload or EventSubject.Image;
        return new EventMessage
        {
            Status = legacy ? item.Action : null,
            Id = legacy ? item.Id : null,
            From = item.Subject == EventSubject.Workload && item.Attributes.TryGetValue("image", out var image) ? image : null,
            Type = TypeName(item.Subject),
            Action = item.Action,
            Actor = new EventActor { ID = item.Id, Attributes = item.Attributes },
            Time = item.At.ToUnixTimeSeconds(),
            TimeNano = Timestamps.UnixNanoseconds(item.At),
        };
    }

    private static string TypeName(EventSubject subject) => subject switch
    {
        EventSubject.Workload => "container",
        EventSubject.Image => "image",
        EventSubject.Volume => "volume",
        EventSubject.Network => "network",
        _ => "daemon",
    };

    private static bool IsKnown(string type) => type is "container" or "image" or "volume" or "network" or "daemon";

    private static bool Swarm(FilterArguments filters) => filters.Has("scope") && !filters["scope"].Contains("local")
        || filters.Has("node") || filters.Has("service") || filters.Has("secret") || filters.Has("config") || filters.Has("plugin");

    private static EventSubject Subject(string type) => type switch
    {
        "container" => EventSubject.Workload,
        "image" => EventSubject.Image,
        "volume" => EventSubject.Volume,
        "network" => EventSubject.Network,
        _ => EventSubject.Engine,
    };
}
