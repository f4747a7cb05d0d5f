namespace Hull.Images.Distribution;

/// <summary>Everything a transfer needs to know about registries, and nothing about images.</summary>
public sealed record DistributionOptions
{
    public RegistriesConfig Registries { get; init; } = new();

    public ICredentialSource Credentials { get; init; } = NoCredentials.Instance;

    public TransportOptions Transport { get; init; } = TransportOptions.Default;

    /// <summary>Blobs of one image that are sent at once.</summary>
    public int Uploads { get; init; } = 4;

    public TimeProvider Clock { get; init; } = TimeProvider.System;

    /// <summary>The machine's own settings: its registries.json, and the credentials of docker's and podman's logins.</summary>
    public static DistributionOptions FromMachine() =>
        new() { Registries = RegistriesConfig.Load(), Credentials = DockerConfig.Load() };
}
