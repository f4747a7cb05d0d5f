using System.Text;

namespace Hull.Images.Distribution;

/// <summary>
/// What a user has for a registry: a name and password, an identity token (an OAuth 2 refresh token, to be changed
/// for access tokens), or a registry token (a ready access token).
/// </summary>
public sealed record RegistryCredential(string Username, string Password, string? IdentityToken = null, string? RegistryToken = null)
{
    /// <summary>The value of an Authorization header for the Basic scheme (RFC 7617).</summary>
    public string Basic => "Basic " + Convert.ToBase64String(Encoding.UTF8.GetBytes(Username + ":" + Password));

    /// <summary>Never shows a secret.</summary>
    public override string ToString() => $"credential of '{Username}'";
}

/// <summary>Where credentials come from: a configuration file, or what an API call brought along.</summary>
public interface ICredentialSource
{
    /// <summary>The credential for a registry as an image reference writes it (<c>docker.io</c>, <c>localhost:5000</c>); null for none.</summary>
    Task<RegistryCredential?> FindAsync(string domain, CancellationToken cancellation = default);
}

/// <summary>The same credential for one registry only, such as the X-Registry-Auth header of an API call.</summary>
public sealed class FixedCredential(string domain, RegistryCredential credential) : ICredentialSource
{
    public Task<RegistryCredential?> FindAsync(string wanted, CancellationToken cancellation = default) =>
        Task.FromResult(wanted == domain ? credential : null);
}

/// <summary>No credentials at all.</summary>
public sealed class NoCredentials : ICredentialSource
{
    public static NoCredentials Instance { get; } = new();

    public Task<RegistryCredential?> FindAsync(string domain, CancellationToken cancellation = default) =>
        Task.FromResult<RegistryCredential?>(null);
}
