namespace Hull.Hypervisor.Qemu;

/// <summary>UEFI firmware as Debian packages it.</summary>
/// <param name="Code">The firmware, read-only.</param>
/// <param name="Variables">An empty variable store, which each machine gets a copy of.</param>
public sealed record UefiFirmware(string Code, string Variables)
{
    /// <summary>Of flash of 4 MiB first: releases up to Debian 12 have one of 2 MiB too, later ones do not.</summary>
    private static readonly Dictionary<string, UefiFirmware[]> s_known = new()
    {
        ["amd64"] =
        [
            new UefiFirmware("/usr/share/OVMF/OVMF_CODE_4M.fd", "/usr/share/OVMF/OVMF_VARS_4M.fd"),
            new UefiFirmware("/usr/share/OVMF/OVMF_CODE.fd", "/usr/share/OVMF/OVMF_VARS.fd"),
        ],
        ["arm64"] = [new UefiFirmware("/usr/share/AAVMF/AAVMF_CODE.fd", "/usr/share/AAVMF/AAVMF_VARS.fd")],
    };

    /// <summary>The installed firmware for an architecture; null without one.</summary>
    /// <param name="store">The variable store of a machine that has one already, which must go on with firmware of the same layout.</param>
    public static UefiFirmware? Find(string architecture, string? store = null) =>
        s_known.GetValueOrDefault(architecture)?.FirstOrDefault(firmware => File.Exists(firmware.Code)
            && (store is null || new FileInfo(firmware.Variables).Length == new FileInfo(store).Length));
}
