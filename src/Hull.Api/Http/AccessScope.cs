namespace Hull.Api.Http;

/// <summary>What a caller may do. The parsed request is judged, never its text.</summary>
/// <param name="Name">Who it is, for the audit log.</param>
/// <param name="ReadOnly">Only requests that change nothing.</param>
/// <param name="Label">Only workloads, networks and volumes that carry <c>key</c> or <c>key=value</c>; null for all.</param>
public sealed record AccessScope(string Name, bool ReadOnly = false, string? Label = null)
{
    /// <summary>The owner of the machine: the root-owned unix socket.</summary>
    public static AccessScope Full { get; } = new("local");

    /// <summary>Nobody: every request is refused until it proves who it comes from.</summary>
    public static AccessScope? None => null;
}
