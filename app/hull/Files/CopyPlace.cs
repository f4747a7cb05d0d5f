using System.Text.Json;
using Hull.Client;
using Hull.Core;
using Hull.Protocol;

namespace Hull.Cli.Files;

/// <summary>One end of a copy: a path of this machine, or of a container.</summary>
/// <param name="Container">Null for this machine.</param>
/// <param name="Path">As the user wrote it: a slash at its end says that a directory is meant, <c>/.</c> its content.</param>
internal sealed record CopyPlace(string? Container, string Path)
{
    private const uint GoDirectory = 1u << 31;
    private const uint GoLink = 1u << 27;
    private const int MaximumLinks = 40;

    /// <summary>Standard input or output, with an archive on it.</summary>
    public bool IsStream => Container is null && Path == "-";

    /// <summary>Whether the content of a directory is meant rather than the directory.</summary>
    public bool MeansContent => Path is "." or "/" || Path.EndsWith("/.", StringComparison.Ordinal);

    public bool MeansDirectory => MeansContent || Path.EndsWith('/');

    public string Name => System.IO.Path.GetFileName(Path.TrimEnd('/')) is { Length: > 0 } name and not "." ? name : "";

    /// <summary>What follows the container's name and a colon is inside; a path that begins with a slash or a dot never is.</summary>
    public static CopyPlace Parse(string text)
    {
        if (text.Length == 0) throw HullException.Invalid("an empty path names nothing");
        var colon = text.IndexOf(':', StringComparison.Ordinal);
        var isDrive = OperatingSystem.IsWindows() && colon == 1;
        if (text[0] is '/' or '.' || colon <= 0 || isDrive) return new CopyPlace(null, OperatingSystem.IsWindows() ? text.Replace('\\', '/') : text);
        var path = text[(colon + 1)..];
        if (path.Length == 0) throw HullException.Invalid($"a path is missing after '{text}'");
        return new CopyPlace(text[..colon], path[0] == '/' ? path : "/" + path);
    }

    /// <summary>What is there; null for nothing. Links are followed where that is asked for.</summary>
    public PathStatInfo? Stat(EngineClient engine, bool follow, out string resolved)
    {
        resolved = Path;
        for (var hops = 0; ; hops++)
        {
            if (StatOnce(engine, resolved) is not { } stat) return null;
            if ((stat.Mode & GoLink) == 0 || !follow) return stat;
            if (hops == MaximumLinks) throw HullException.Invalid($"{this} is a link that leads to itself");
            resolved = stat.LinkTarget;
        }
    }

    public static bool IsDirectory(PathStatInfo stat) => (stat.Mode & GoDirectory) != 0;

    public string ArchiveQuery(string path) => $"/containers/{Uri.EscapeDataString(Container!)}/archive?path={Uri.EscapeDataString(path)}";

    public override string ToString() => Container is null ? Path : Container + ":" + Path;

    private PathStatInfo? StatOnce(EngineClient engine, string path)
    {
        try
        {
            using var answer = engine.Send("HEAD", ArchiveQuery(path));
            var header = answer.Header("X-Docker-Container-Path-Stat") ?? throw HullException.Internal("the engine did not say what is at the path");
            return JsonSerializer.Deserialize(Convert.FromBase64String(header), DockerJson.Wire.PathStatInfo);
        }
        catch (HullException error) when (error.Kind == ErrorKind.NotFound)
        {
            // An answer to HEAD has no text, so that it is not said here what is missing: the container may be.
            engine.Call("GET", $"/containers/{Uri.EscapeDataString(Container!)}/json");
            return null;
        }
    }
}
