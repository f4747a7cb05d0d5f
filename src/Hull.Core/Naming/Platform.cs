using System.Runtime.InteropServices;

namespace Hull.Core;

/// <summary>Operating system, architecture and variant in Go's words, as the OCI image index uses them.</summary>
public sealed record Platform(string Os, string Architecture, string? Variant = null)
{
    /// <summary>The platform of this machine. Images are always Linux.</summary>
    public static Platform Host { get; } = new("linux", RuntimeInformation.OSArchitecture switch
    {
        System.Runtime.InteropServices.Architecture.X64 => "amd64",
        System.Runtime.InteropServices.Architecture.Arm64 => "arm64",
        System.Runtime.InteropServices.Architecture.X86 => "386",
        System.Runtime.InteropServices.Architecture.Arm => "arm",
        System.Runtime.InteropServices.Architecture.RiscV64 => "riscv64",
        System.Runtime.InteropServices.Architecture.Ppc64le => "ppc64le",
        System.Runtime.InteropServices.Architecture.S390x => "s390x",
        System.Runtime.InteropServices.Architecture.LoongArch64 => "loong64",
        var other => other.ToString().ToLowerInvariant(),
    });

    /// <summary>Parses <c>os/arch[/variant]</c>; throws <see cref="ErrorKind.InvalidArgument"/>.</summary>
    public static Platform Parse(string text)
    {
        var parts = text.Split('/');
        if (parts.Length is < 2 or > 3 || parts.Any(string.IsNullOrEmpty))
            throw HullException.Invalid($"invalid platform '{text}': expected os/arch or os/arch/variant, such as linux/amd64");
        return new Platform(parts[0], NormalizeArchitecture(parts[1]), parts.Length == 3 ? parts[2] : null);
    }

    /// <summary>Whether an image for <paramref name="other"/> runs here; arm64 and its v8 variant are the same.</summary>
    public bool Accepts(Platform other) =>
        Os == other.Os && Architecture == other.Architecture && VariantOf(this) == VariantOf(other);

    public override string ToString() => Variant is null ? $"{Os}/{Architecture}" : $"{Os}/{Architecture}/{Variant}";

    private static string NormalizeArchitecture(string name) => name switch
    {
        "x86_64" or "x86-64" => "amd64",
        "aarch64" => "arm64",
        "i386" => "386",
        _ => name,
    };

    private static string? VariantOf(Platform platform) => platform switch
    {
        { Architecture: "arm64", Variant: null or "v8" } => null,
        { Architecture: "arm", Variant: null } => "v7",
        _ => platform.Variant is "" ? null : platform.Variant,
    };
}
