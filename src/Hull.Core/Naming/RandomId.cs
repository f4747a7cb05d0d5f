using System.Security.Cryptography;

namespace Hull.Core;

/// <summary>Random identifiers: 64 lower-case hexadecimal digits, as Docker and Podman name containers.</summary>
public static class RandomId
{
    public static string New() => Convert.ToHexStringLower(RandomNumberGenerator.GetBytes(32));

    /// <summary>The twelve digits people are shown.</summary>
    public static string Short(string id) => id.Length <= 12 ? id : id[..12];
}
