namespace Hull.Api.Docker;

/// <summary>Label filters: <c>key</c> or <c>key=value</c>, all of which must match.</summary>
internal static class LabelFilter
{
    public static bool Matches(IReadOnlyDictionary<string, string>? labels, IReadOnlyList<string> filters) =>
        filters.All(filter => MatchesOne(labels, filter));

    private static bool MatchesOne(IReadOnlyDictionary<string, string>? labels, string filter)
    {
        if (labels is null) return false;
        var equals = filter.IndexOf('=', StringComparison.Ordinal);
        return equals < 0
            ? labels.ContainsKey(filter)
            : labels.TryGetValue(filter[..equals], out var value) && value == filter[(equals + 1)..];
    }
}
