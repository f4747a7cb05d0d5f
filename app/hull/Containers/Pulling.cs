using System.Text.Json;
using Hull.Cli.Verbs;
using Hull.Core;
using Hull.Protocol;

namespace Hull.Cli.Containers;

/// <summary>Fetches an image through the engine because a container is to be made of it.</summary>
internal static class Pulling
{
    public static bool IsMissingImage(HullException failure) =>
        failure.Kind == ErrorKind.NotFound && failure.Message.Contains("No such image", StringComparison.Ordinal);

    public static void Pull(Invocation call, string image, string? platform, bool quiet)
    {
        var reference = ImageReference.Parse(image).WithDefaultTag();
        var path = $"/images/create?fromImage={Uri.EscapeDataString(reference.Repository)}&tag={Uri.EscapeDataString(reference.Digest?.ToString() ?? reference.Tag!)}"
            + (platform is null ? "" : "&platform=" + Uri.EscapeDataString(platform));
        if (!quiet) call.Error.WriteLine($"fetching {reference.Familiar}");
        using var answer = call.Engine.Send("POST", path, default, RegistryLogin.Header(reference));
        using var reader = new StreamReader(answer.Content);
        while (reader.ReadLine() is { } line)
        {
            if (line.Length == 0) continue;
            var message = JsonSerializer.Deserialize(line, DockerJson.Wire.ProgressMessage);
            if (message?.Error is { } error) throw new HullException(ErrorKind.Unavailable, error);
        }
    }
}
