using Hull.Api.Docker.Images;
using Hull.Core;
using Hull.Engine;
using Hull.Images;
using Hull.Images.Distribution;

namespace Hull.Api;

/// <summary>What the wire edges need from the composition root.</summary>
public sealed class ApiServices
{
    public required IHullEngine Engine { get; init; }

    public required IImageService Images { get; init; }

    /// <summary>Registries as they are configured now; read anew at each transfer, so that a reload takes effect.</summary>
    public required Func<RegistriesConfig> Registries { get; init; }

    /// <summary>The bounds of transfers as they are configured now.</summary>
    public Func<TransferBounds> Transfers { get; init; } = () => TransferBounds.Default;

    /// <summary>Asks a registry whether it takes the credential; throws where it does not.</summary>
    public required Func<string, RegistryCredential, CancellationToken, Task> CheckLogin { get; init; }

    /// <summary>Tells this engine from others, as long as its state lives.</summary>
    public string EngineId { get; init; } = "";

    public bool Debug { get; init; }

    /// <summary>What is not as it should be on this machine, for those who ask for information.</summary>
    public Func<IReadOnlyList<string>?> Warnings { get; init; } = () => null;

    public TimeProvider Clock { get; init; } = TimeProvider.System;

    /// <summary>Receives one line per noteworthy event, beginning with its level.</summary>
    public Action<string> Log { get; init; } = _ => { };

    /// <summary>Who may do what; without scopes the listener decides.</summary>
    public Http.AccessPolicy Access { get; init; } = Http.AccessPolicy.Open;

    /// <summary>Null where none is kept.</summary>
    public Http.AuditLog? Audit { get; init; }

    /// <summary>The registries, with the credentials that came with a request for the one that <paramref name="reference"/> names.</summary>
    internal RegistrySource Registry(Http.ApiRequest request, ImageReference reference) => new(new DistributionOptions
    {
        Registries = Registries(),
        Uploads = Transfers().Uploads,
        Credentials = RegistryAuthHeader.ToSource(RegistryAuthHeader.Parse(request.Header("X-Registry-Auth")), reference),
        Clock = Clock,
    });
}

/// <summary>How much transfers do at once, and how long they try.</summary>
/// <param name="Downloads">Layers of one pull that are fetched at once.</param>
/// <param name="Uploads">Layers of one push that are sent at once.</param>
/// <param name="Attempts">Attempts to fetch a layer.</param>
public sealed record TransferBounds(int Downloads, int Uploads, int Attempts)
{
    public static TransferBounds Default { get; } = new(PullOptions.Default.Parallelism, new DistributionOptions().Uploads, PullOptions.Default.Attempts);
}
