using System.Globalization;
using Hull.Engine.Workloads;
using Hull.Protocol;

namespace Hull.Api.Docker.Containers;

/// <summary>A workload as a row of <c>docker ps</c>.</summary>
internal static class SummaryMapping
{
    public static ContainerSummary ToSummary(WorkloadSnapshot workload, DateTimeOffset now) => new()
    {
        Id = workload.Id,
        Names = ["/" + workload.Name],
        Image = workload.Config.Image,
        ImageID = workload.ImageId,
        Command = Command(workload.Process.Arguments),
        Created = workload.CreatedAt.ToUnixTimeSeconds(),
        Ports = Ports(workload),
        SizeRw = workload.SizeRw,
        SizeRootFs = workload.SizeRoot,
        Labels = workload.Labels,
        State = InspectMapping.StatusName(workload.State.Status),
        Status = Status(workload.State, now),
        HostConfig = new SummaryHostConfig
        {
            NetworkMode = workload.Config.Networking.Mode ?? "bridge",
            Annotations = workload.Config.Annotations.Count > 0 ? new Dictionary<string, string>(workload.Config.Annotations) : null,
        },
        NetworkSettings = Networks(workload),
        Mounts = [.. workload.Mounts.Select(InspectMapping.Mount)],
        Isolation = workload.Isolation,
    };

    /// <summary>The state in words, as <c>docker ps</c> prints it.</summary>
    public static string Status(WorkloadState state, DateTimeOffset now) => state.Status switch
    {
        WorkloadStatus.Created => "Created",
        WorkloadStatus.Running => $"Up {Ago(state.StartedAt, now)}{HealthOf(state)}",
        WorkloadStatus.Paused => $"Up {Ago(state.StartedAt, now)} (Paused)",
        WorkloadStatus.Restarting => $"Restarting ({state.ExitCode}) {Ago(state.FinishedAt, now)} ago",
        WorkloadStatus.Removing => "Removal In Progress",
        WorkloadStatus.Dead => "Dead",
        _ => $"Exited ({state.ExitCode}) {Ago(state.FinishedAt, now)} ago",
    };

    /// <summary>A duration in the biggest unit that says enough.</summary>
    public static string Duration(TimeSpan duration)
    {
        var seconds = (long)duration.TotalSeconds;
        var minutes = (long)duration.TotalMinutes;
        var hours = (long)Math.Round(duration.TotalHours, MidpointRounding.AwayFromZero);
        return seconds < 1 ? "Less than a second"
            : seconds == 1 ? "1 second"
            : seconds < 60 ? $"{seconds} seconds"
            : minutes == 1 ? "About a minute"
            : minutes < 60 ? $"{minutes} minutes"
            : hours == 1 ? "About an hour"
            : hours < 48 ? $"{hours} hours"
            : hours < 24 * 7 * 2 ? $"{hours / 24} days"
            : hours < 24 * 30 * 2 ? $"{hours / 24 / 7} weeks"
            : hours < 24 * 365 * 2 ? $"{hours / 24 / 30} months"
            : $"{hours / 24 / 365} years";
    }

    private static string Ago(DateTimeOffset? since, DateTimeOffset now) => Duration(since is { } time && now > time ? now - time : TimeSpan.Zero);

    private static string HealthOf(WorkloadState state) => state.Health?.Status switch
    {
        null or "" or "none" => "",
        "starting" => " (health: starting)",
        var status => $" ({status})",
    };

    private static string Command(IReadOnlyList<string> arguments) => string.Join(' ', arguments.Select(a => a.Contains(' ', StringComparison.Ordinal) ? $"'{a}'" : a));

    private static List<PortSummary> Ports(WorkloadSnapshot workload)
    {
        var ports = workload.Networking.Ports.Select(p => new PortSummary
        {
            IP = p.HostAddress.ToString(),
            PrivatePort = p.Port,
            PublicPort = p.HostPort,
            Type = InspectMapping.ProtocolName(p.Protocol),
        }).ToList();
        if (!workload.State.IsRunning) return ports;
        foreach (var exposed in workload.Process.ExposedPorts)
        {
            var slash = exposed.IndexOf('/', StringComparison.Ordinal);
            var protocol = slash < 0 ? "tcp" : exposed[(slash + 1)..];
            if (ushort.TryParse(slash < 0 ? exposed : exposed[..slash], NumberStyles.None, CultureInfo.InvariantCulture, out var port)
                && !ports.Exists(p => p.PrivatePort == port && p.Type == protocol))
            {
                ports.Add(new PortSummary { PrivatePort = port, Type = protocol });
            }
        }

        return ports;
    }

    private static SummaryNetworkSettings Networks(WorkloadSnapshot workload)
    {
        var settings = new SummaryNetworkSettings();
        foreach (var (name, state) in workload.Networking.Networks) settings.Networks[name] = InspectMapping.Attachment(state);
        return settings;
    }
}
