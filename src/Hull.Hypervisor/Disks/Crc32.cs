namespace Hull.Hypervisor.Disks;

/// <summary>The checksum of ISO 3309, as GPT headers carry it (UEFI 2.10, 5.3.2).</summary>
internal static class Crc32
{
    private const uint Polynomial = 0xEDB88320;

    public static uint Of(ReadOnlySpan<byte> bytes)
    {
        var crc = uint.MaxValue;
        foreach (var value in bytes)
        {
            crc ^= value;
            for (var bit = 0; bit < 8; bit++) crc = (crc & 1) != 0 ? (crc >> 1) ^ Polynomial : crc >> 1;
        }

        return ~crc;
    }
}
