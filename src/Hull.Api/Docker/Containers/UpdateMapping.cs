using Hull.Engine.Workloads;
using Hull.Protocol;

namespace Hull.Api.Docker.Containers;

/// <summary>What an update request changes; members that were left out stay as they are.</summary>
internal static class UpdateMapping
{
    public static UpdateRequest ToUpdate(ContainerUpdateRequest body) => new()
    {
        Resources = ResourceMapping.ToLimits(body),
        Restart = string.IsNullOrEmpty(body.RestartPolicy?.Name) ? null : CreateMapping.Restart(body.RestartPolicy, autoRemove: false),
        Ports = body.PortBindings is null ? null : NetworkingMapping.ToPorts(body.PortBindings),
        Mounts = body.Mounts is null && body.Binds is null ? null : MountMapping.ToMounts(body.Binds, body.Mounts, null, null, null),
        Labels = body.Labels,
        Health = CreateMapping.Health(body.Healthcheck),
        Log = body.LogConfig is null ? null : CreateMapping.Log(body.LogConfig),
        DependsOn = body.DependsOn,
        Group = body.Group,
    };
}
