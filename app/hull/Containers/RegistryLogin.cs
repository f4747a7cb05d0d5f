using System.Text;
using System.Text.Json;
using Hull.Core;
using Hull.Images.Distribution;
using Hull.Protocol;

namespace Hull.Cli.Containers;

/// <summary>The credentials this user has for a registry, for the engine to use on one request.</summary>
internal static class RegistryLogin
{
    public static (string Name, string Value)[]? Header(ImageReference reference)
    {
        var credential = DockerConfig.Load().FindAsync(reference.Domain).GetAwaiter().GetResult();
        if (credential is null) return null;
        var auth = new RegistryAuth
        {
            Username = credential.Username,
            Password = credential.Password,
            IdentityToken = credential.IdentityToken,
            RegistryToken = credential.RegistryToken,
            ServerAddress = reference.Domain,
        };
        var json = JsonSerializer.Serialize(auth, DockerJson.Wire.RegistryAuth);
        var text = Convert.ToBase64String(Encoding.UTF8.GetBytes(json)).Replace('+', '-').Replace('/', '_');
        return [("X-Registry-Auth", text)];
    }
}
