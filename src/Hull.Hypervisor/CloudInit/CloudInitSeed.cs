using System.Text;
using Hull.Hypervisor.Disks;

namespace Hull.Hypervisor.CloudInit;

/// <summary>
/// What a machine is told at its first boot, in the form of cloud-init's NoCloud data source: a small disk labelled
/// <c>CIDATA</c> with the files <c>meta-data</c>, <c>user-data</c> and, if there is one, <c>network-config</c>.
/// </summary>
/// <param name="InstanceId">A changed id makes cloud-init apply everything anew; clones get their own.</param>
/// <param name="HostName">Host name for the machine.</param>
/// <param name="UserData">User data as the operator wrote it (<c>#cloud-config</c>, a script …).</param>
/// <param name="NetworkConfig">Network configuration, version 1 or 2; null leaves it to DHCP.</param>
/// <param name="VendorData">Data that user data wins over; null for none.</param>
public sealed record CloudInitSeed(string InstanceId, string HostName, string UserData, string? NetworkConfig = null, string? VendorData = null)
{
    private const long VolumeBytes = 8 << 20;

    /// <summary>Writes the seed disk at <paramref name="output"/>, which must be empty and able to seek.</summary>
    public void WriteTo(Stream output)
    {
        if (HostName.Length is 0 or > 63 || !HostName.All(c => char.IsAsciiLetterOrDigit(c) || c is '-' or '.'))
            throw HullException.Invalid($"invalid host name '{HostName}'");
        var volume = new FatVolume("CIDATA", VolumeBytes, 0x48554C4C);
        volume.AddFile("meta-data", Text($"instance-id: {InstanceId}\nlocal-hostname: {HostName}\n"));
        volume.AddFile("user-data", Text(UserData));
        if (NetworkConfig is not null) volume.AddFile("network-config", Text(NetworkConfig));
        if (VendorData is not null) volume.AddFile("vendor-data", Text(VendorData));
        volume.WriteTo(output);
    }

    private static byte[] Text(string text) => Encoding.UTF8.GetBytes(text);
}
