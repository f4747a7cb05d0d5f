using System.Diagnostics.CodeAnalysis;
using System.Security.Cryptography;

namespace Hull.Core;

/// <summary>
/// A content address: algorithm and lower-case hex, as the OCI image-spec's descriptor.md has it.
/// Only registered algorithms are accepted, so a digest is always safe as a file name.
/// </summary>
public readonly record struct Digest
{
    private Digest(string algorithm, string hex) => (Algorithm, Hex) = (algorithm, hex);

    /// <summary><c>sha256</c> or <c>sha512</c>.</summary>
    public string Algorithm { get; }

    /// <summary>The encoded part: 64 or 128 lower-case hexadecimal digits.</summary>
    public string Hex { get; }

    /// <summary>The first twelve hexadecimal digits, the form people read.</summary>
    public string Short => Hex[..12];

    public static Digest Sha256(ReadOnlySpan<byte> content) => FromHash("sha256", SHA256.HashData(content));

    /// <summary>Wraps a finished hash. Throws <see cref="ErrorKind.InvalidArgument"/> where its length does not fit.</summary>
    public static Digest FromHash(string algorithm, ReadOnlySpan<byte> hash) =>
        Parse(algorithm + ":" + Convert.ToHexStringLower(hash));

    /// <summary>Parses <c>algorithm:hex</c>; throws <see cref="ErrorKind.InvalidArgument"/>.</summary>
    public static Digest Parse(string text) => TryParse(text, out var digest)
        ? digest
        : throw HullException.Invalid($"invalid digest '{Shorten(text)}': expected sha256: and 64 hexadecimal digits");

    public static bool TryParse([NotNullWhen(true)] string? text, out Digest digest)
    {
        digest = default;
        if (text is null) return false;
        var colon = text.IndexOf(':', StringComparison.Ordinal);
        if (colon <= 0) return false;
        var (algorithm, hex) = (text[..colon], text[(colon + 1)..]);
        var length = algorithm switch { "sha256" => 64, "sha512" => 128, _ => 0 };
        if (length == 0 || hex.Length != length) return false;
        foreach (var c in hex)
        {
            if (!char.IsAsciiHexDigitLower(c)) return false;
        }

        digest = new Digest(algorithm, hex);
        return true;
    }

    public override string ToString() => Hex is null ? "" : Algorithm + ":" + Hex;

    private static string Shorten(string text)
    {
        var shown = text.Length <= 80 ? text : text[..80] + "…";
        return shown.Any(char.IsControl) ? string.Concat(shown.Select(c => char.IsControl(c) ? '.' : c)) : shown;
    }
}
