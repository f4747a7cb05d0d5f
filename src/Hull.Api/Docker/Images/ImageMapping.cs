using Hull.Core;
using Hull.Images;
using Hull.Oci.Image;
using Hull.Protocol;
using Descriptor = Hull.Protocol.Descriptor;
using Image = Hull.Images.Image;
using ImageSummary = Hull.Images.ImageSummary;

namespace Hull.Api.Docker.Images;

/// <summary>Images as Docker's clients expect to see them.</summary>
internal static class ImageMapping
{
    public static Protocol.ImageSummary ToSummary(ImageSummary image, bool sizes) => new()
    {
        Id = image.Id.ToString(),
        Created = image.Created?.ToUnixTimeSeconds() ?? 0,
        Labels = image.Labels.Count > 0 ? image.Labels : null,
        RepoTags = Tags(image.References),
        RepoDigests = Digests(image.References, image.Target.Digest),
        Size = image.Size,
        VirtualSize = sizes ? image.Size : null,
        Descriptor = ToDescriptor(image.Target),
    };

    public static ImageInspect ToInspect(Image image, bool virtualSize)
    {
        var config = image.Config;
        return new ImageInspect
        {
            Id = image.Id.ToString(),
            RepoTags = Tags(image.References),
            RepoDigests = Digests(image.References, image.Target.Digest),
            Comment = config.Comment ?? "",
            Created = config.Created is { } created ? Timestamps.Format(created) : null,
            DockerVersion = config.DockerVersion ?? "",
            Author = config.Author ?? "",
            Config = ToConfig(config.Config ?? new ContainerDefaults()),
            Architecture = config.Architecture,
            Variant = string.IsNullOrEmpty(config.Variant) ? null : config.Variant,
            Os = config.Os,
            Size = image.Size,
            VirtualSize = virtualSize ? image.Size : null,
            GraphDriver = new GraphDriver { Name = Containers.InspectMapping.SnapshotterName },
            RootFS = new RootFs { Layers = [.. image.DiffIds.Select(d => d.ToString())] },
            Descriptor = ToDescriptor(image.Target),
        };
    }

    public static Descriptor ToDescriptor(Oci.Image.Descriptor descriptor) => new()
    {
        MediaType = descriptor.MediaType,
        Digest = descriptor.Digest.ToString(),
        Size = descriptor.Size,
        Annotations = descriptor.Annotations is { Count: > 0 } annotations ? new Dictionary<string, string>(annotations) : null,
        Platform = descriptor.Platform is { } platform ? new PlatformInfo
        {
            Architecture = platform.Architecture,
            Os = platform.Os,
            Variant = string.IsNullOrEmpty(platform.Variant) ? null : platform.Variant,
        } : null,
    };

    private static IReadOnlyList<string> Tags(IReadOnlyList<ImageReference> references) =>
        [.. references.Where(r => r.Tag is not null).Select(r => r.WithoutTagAndDigest().FamiliarName + ":" + r.Tag)];

    private static IReadOnlyList<string> Digests(IReadOnlyList<ImageReference> references, Digest digest) =>
        [.. references.Select(r => r.FamiliarName + "@" + (r.Digest ?? digest)).Distinct()];

    private static ContainerConfig ToConfig(ContainerDefaults defaults) => new()
    {
        Hostname = defaults.Hostname ?? "",
        Domainname = defaults.Domainname ?? "",
        User = defaults.User ?? "",
        ExposedPorts = defaults.ExposedPorts is { Count: > 0 } ports ? new SortedSet<string>(ports.Keys, StringComparer.Ordinal) : null,
        Env = defaults.Env,
        Cmd = defaults.Cmd,
        Entrypoint = defaults.Entrypoint,
        Image = "",
        Volumes = defaults.Volumes is { Count: > 0 } volumes ? new SortedSet<string>(volumes.Keys, StringComparer.Ordinal) : null,
        WorkingDir = defaults.WorkingDir ?? "",
        Labels = defaults.Labels is { } labels ? new Dictionary<string, string>(labels) : null,
        StopSignal = string.IsNullOrEmpty(defaults.StopSignal) ? null : defaults.StopSignal,
        StopTimeout = defaults.StopTimeout,
        OnBuild = defaults.OnBuild,
        Shell = defaults.Shell,
        Healthcheck = defaults.Healthcheck is not { } health ? null : new HealthcheckConfig
        {
            Test = health.Test,
            Interval = health.Interval ?? 0,
            Timeout = health.Timeout ?? 0,
            StartPeriod = health.StartPeriod ?? 0,
            Retries = (int)(health.Retries ?? 0),
        },
    };
}
