using System.Security.Cryptography;
using System.Text;
using Hull.Core;

namespace Hull.Network;

/// <summary>
/// Names of the devices an engine makes on the host: a letter, the engine's six digits, then the owner's. Whatever bears
/// them is the engine's, so that it finds what a crash left behind and never touches anything else.
/// </summary>
internal sealed class DeviceNames
{
    private const int MaximumLength = 15; // IFNAMSIZ - 1

    public DeviceNames(NetworkManagerOptions options)
    {
        EngineId = options.EngineId ?? Convert.ToHexStringLower(SHA256.HashData(Encoding.UTF8.GetBytes(Path.GetFullPath(options.StateDirectory))))[..6];
        if (EngineId.Length != 6 || !EngineId.All(char.IsAsciiHexDigitLower))
            throw HullException.Invalid($"invalid engine id '{EngineId}': expected six lower-case hexadecimal digits");
    }

    public string EngineId { get; }

    public string Table => "hull_" + EngineId;

    public string Bridge(string networkId) => "h" + EngineId + "-" + networkId[..7];

    public string Veth(string endpointId) => "v" + EngineId + endpointId[..8];

    public string Tap(string endpointId) => "t" + EngineId + endpointId[..8];

    public string Ifb(string endpointId) => "i" + EngineId + endpointId[..8];

    /// <summary>The ifb that all who share a bandwidth are led through.</summary>
    public string SharedIfb(string name, bool egress) =>
        "i" + EngineId + Convert.ToHexStringLower(SHA256.HashData(Encoding.UTF8.GetBytes((egress ? "egress " : "ingress ") + name)))[..8];

    /// <summary>Whether a device was made by this engine under one of the names above.</summary>
    public bool IsOurs(string device) =>
        device.Length == MaximumLength && device[0] is 'h' or 'v' or 't' or 'i' && device.AsSpan(1).StartsWith(EngineId, StringComparison.Ordinal);

    public static string KindOf(string device) => device[0] switch { 'h' => "bridge", 't' => "tap", 'i' => "ifb", _ => "veth" };

    /// <summary>A name the kernel takes (dev_valid_name) and a shell and nft read without quoting.</summary>
    public static void Validate(string device)
    {
        if (device.Length is 0 or > MaximumLength || device is "." or ".." || device.Any(c => !char.IsAsciiLetterOrDigit(c) && c is not ('.' or '-' or '_')))
            throw HullException.Invalid($"invalid interface name '{device}': 1 to 15 letters, digits, '.', '-' and '_'");
    }
}
