using Hull.Oci.Image;

namespace Hull.Engine.Workloads;

/// <summary>
/// What runs: the user's settings over the image's. From an image come program, environment, user, directory, ports,
/// volumes, stop signal and health check; nothing that touches the machine.
/// </summary>
internal static class ProcessMerge
{
    public static EffectiveProcess Merge(WorkloadConfig config, ContainerDefaults? image)
    {
        var process = config.Process;
        var entrypoint = process.Entrypoint ?? image?.Entrypoint ?? [];
        // A user's entrypoint replaces the image's command too: it was meant for the old one.
        var command = process.Command is { Count: > 0 } given ? given : process.Entrypoint is null ? image?.Cmd ?? [] : [];
        if (entrypoint is [""]) entrypoint = [];
        return new EffectiveProcess
        {
            Entrypoint = entrypoint,
            Command = command,
            Environment = MergeEnvironment(image?.Env ?? [], process.Environment),
            WorkingDirectory = Absolute(First(process.WorkingDirectory, image?.WorkingDir, "/")),
            User = First(process.User, image?.User, ""),
            StopSignal = First(process.StopSignal, image?.StopSignal, "SIGTERM"),
            Health = MergeHealth(config.Health, image?.Healthcheck),
            ExposedPorts = [.. config.Networking.ExposedPorts.Concat(image?.ExposedPorts?.Keys ?? []).Select(WithProtocol).Distinct()],
            AnonymousVolumes = image?.Volumes?.Keys.ToList() ?? [],
        };
    }

    private static string First(string? user, string? image, string fallback) =>
        user is { Length: > 0 } ? user : image is { Length: > 0 } ? image : fallback;

    private static string Absolute(string path) => path.StartsWith('/') ? path : "/" + path;

    private static string WithProtocol(string port) => port.Contains('/') ? port : port + "/tcp";

    /// <summary>A bare name takes the image's variable away.</summary>
    private static List<string> MergeEnvironment(IReadOnlyList<string> image, IReadOnlyList<string> user)
    {
        var names = user.Select(NameOf).ToHashSet();
        return [.. image.Where(variable => !names.Contains(NameOf(variable))), .. user.Where(variable => variable.Contains('='))];
    }

    private static string NameOf(string variable)
    {
        var equals = variable.IndexOf('=');
        return equals < 0 ? variable : variable[..equals];
    }

    private static HealthConfig? MergeHealth(HealthConfig? user, HealthCheck? image)
    {
        if (user is { Test: ["NONE", ..] }) return null;
        var test = user is { Test.Count: > 0 } ? user.Test : image?.Test ?? [];
        if (test.Count == 0 || test[0] == "NONE") return null;
        return new HealthConfig
        {
            Test = test,
            Interval = Pick(user?.Interval, image?.Interval),
            Timeout = Pick(user?.Timeout, image?.Timeout),
            StartPeriod = Pick(user?.StartPeriod, image?.StartPeriod),
            StartInterval = Pick(user?.StartInterval, image?.StartInterval),
            Retries = user is { Retries: > 0 } ? user.Retries : image?.Retries ?? 0,
            OnFailure = user?.OnFailure ?? "none",
        };
    }

    private static TimeSpan Pick(TimeSpan? user, long? image) =>
        user is { Ticks: > 0 } given ? given : TimeSpan.FromTicks((image ?? 0) / 100);
}
