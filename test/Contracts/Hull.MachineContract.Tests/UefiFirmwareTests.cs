using Hull.Hypervisor.Qemu;
using Hull.Testing;

namespace Hull.MachineContract.Tests;

/// <summary>A machine keeps to the layout of flash that its variables were made for.</summary>
public sealed class UefiFirmwareTests
{
    [Theory]
    [InlineData("/usr/share/OVMF/OVMF_VARS.fd", "/usr/share/OVMF/OVMF_CODE.fd")]
    [InlineData("/usr/share/OVMF/OVMF_VARS_4M.fd", "/usr/share/OVMF/OVMF_CODE_4M.fd")]
    public void A_store_is_read_by_the_firmware_it_was_made_for(string variables, string code)
    {
        Require.That(File.Exists(variables), $"needs {variables}, which this release's package ovmf may not have");
        Assert.Equal(code, UefiFirmware.Find("amd64", variables)?.Code);
    }

    [Fact]
    public void A_store_of_no_installed_firmware_finds_none()
    {
        Require.That(UefiFirmware.Find("amd64") is not null, "needs the package ovmf");
        using var directory = new TemporaryDirectory();
        File.WriteAllBytes(directory["store"], new byte[12345]);
        Assert.Null(UefiFirmware.Find("amd64", directory["store"]));
        Assert.Null(UefiFirmware.Find("vax"));
    }
}
