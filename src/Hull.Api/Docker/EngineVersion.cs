using System.Reflection;

namespace Hull.Api.Docker;

/// <summary>What the engine calls itself.</summary>
public static class EngineVersion
{
    /// <summary>
    /// The Docker release whose API this one serves. Clients compare the engine's version with releases of Docker, so
    /// it leads; Hull's own follows.
    /// </summary>
    private const string Compatible = "28.2.2";

    /// <summary>Hull's own version.</summary>
    public static string Own { get; } = typeof(EngineVersion).Assembly.GetName().Version?.ToString(3) ?? "0.0.0";

    /// <summary>As clients are told it, such as 28.2.2-hull.0.1.0.</summary>
    public static string Reported { get; } = $"{Compatible}-hull.{Own}";

    /// <summary>Clients read the operating system out of this header.</summary>
    public static string ServerHeader { get; } = $"Docker/{Reported} (linux)";
}
