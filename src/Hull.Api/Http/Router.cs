namespace Hull.Api.Http;

/// <summary>What answers a request.</summary>
public delegate Task RequestHandler(ApiRequest request);

/// <summary>A method and a path with placeholders, and what answers them.</summary>
/// <param name="Method">HTTP method.</param>
/// <param name="Pattern"><c>containers/{id}/json</c>; <c>{name*}</c> takes one or more segments.</param>
/// <param name="Handler">What answers.</param>
/// <param name="Changes">Whether it changes anything: refused to read-only callers.</param>
public sealed record Route(string Method, string Pattern, RequestHandler Handler, bool Changes)
{
    internal string[] Segments { get; } = Pattern.Split('/');
}

/// <summary>Finds the route of a request. Routes are tried in the order in which they were added.</summary>
public sealed class Router
{
    private readonly Dictionary<string, List<Route>> byFirstSegment = new(StringComparer.Ordinal);

    public IEnumerable<Route> Routes => byFirstSegment.Values.SelectMany(r => r);

    public Router Get(string pattern, RequestHandler handler) => Add(new Route("GET", pattern, handler, Changes: false));

    public Router Head(string pattern, RequestHandler handler) => Add(new Route("HEAD", pattern, handler, Changes: false));

    public Router Post(string pattern, RequestHandler handler, bool changes = true) => Add(new Route("POST", pattern, handler, changes));

    public Router Put(string pattern, RequestHandler handler) => Add(new Route("PUT", pattern, handler, Changes: true));

    public Router Delete(string pattern, RequestHandler handler) => Add(new Route("DELETE", pattern, handler, Changes: true));

    /// <summary>The route for a path without slashes at its ends, with its placeholders' values; null when there is none.</summary>
    public (Route Route, Dictionary<string, string> Values)? Match(string method, string path)
    {
        var segments = path.Split('/');
        if (!byFirstSegment.TryGetValue(segments[0], out var routes)) return null;
        foreach (var route in routes)
        {
            if (route.Method == method && TryMatch(route.Segments, segments) is { } values) return (route, values);
        }

        return null;
    }

    private Router Add(Route route)
    {
        if (!byFirstSegment.TryGetValue(route.Segments[0], out var list)) byFirstSegment[route.Segments[0]] = list = [];
        list.Add(route);
        return this;
    }

    private static Dictionary<string, string>? TryMatch(string[] pattern, string[] segments)
    {
        var values = new Dictionary<string, string>(StringComparer.Ordinal);
        var wide = Array.FindIndex(pattern, p => p.EndsWith("*}", StringComparison.Ordinal));
        if (wide < 0 ? segments.Length != pattern.Length : segments.Length < pattern.Length) return null;
        var extra = segments.Length - pattern.Length;
        for (var i = 0; i < pattern.Length; i++)
        {
            var at = wide >= 0 && i > wide ? i + extra : i;
            if (i == wide) values[pattern[i][1..^2]] = Decode(string.Join('/', segments[i..(i + extra + 1)]));
            else if (pattern[i].StartsWith('{')) values[pattern[i][1..^1]] = Decode(segments[at]);
            else if (pattern[i] != segments[at]) return null;
        }

        return values.Values.Any(string.IsNullOrEmpty) ? null : values;
    }

    /// <summary>Kestrel decodes a path except for its escaped slashes, which some clients use in image names.</summary>
    private static string Decode(string value) => value.Replace("%2F", "/", StringComparison.OrdinalIgnoreCase);
}
