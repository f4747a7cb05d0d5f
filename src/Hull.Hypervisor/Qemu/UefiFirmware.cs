namespace Hull.Hypervisor.Qemu;

/// <summary>UEFI firmware as Debian packages it.</summary>
/// <param name="Code">The firmware, read-only.</param>
/// <param name="Variables">An empty variable store, which each machine gets a copy of.</param>
public sealed record UefiFirmware(string Code, string Variables)
{
    /// <summary>Where the firmware for an architecture is, whether or not it is installed; null where none is known.</summary>
    public static UefiFirmware? For(string architecture) => architecture switch
    {
        "amd64" => new UefiFirmware("/usr/share/OVMF/OVMF_CODE.fd", "/usr/share/OVMF/OVMF_VARS.fd"),
        "arm64" => new UefiFirmware("/usr/share/AAVMF/AAVMF_CODE.fd", "/usr/share/AAVMF/AAVMF_VARS.fd"),
        _ => null,
    };
}
