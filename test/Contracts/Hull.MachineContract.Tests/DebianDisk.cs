using Hull.Hypervisor.Bootstrap;
using Hull.Testing;

namespace Hull.MachineContract.Tests;

/// <summary>A bootstrapped Debian disk, built once per checkout because it takes most of a minute, and never written to.</summary>
public static class DebianDisk
{
    private static readonly SemaphoreSlim Gate = new(1);

    public static async Task<string> PathAsync()
    {
        Require.Root();
        Require.Program("mmdebstrap");
        var cache = Directory.CreateDirectory(Path.Combine(Repository.Root, "out", "cache")).FullName;
        var disk = Path.Combine(cache, "debian-bookworm-networkd.qcow2");
        await Gate.WaitAsync();
        try
        {
            if (File.Exists(disk)) return disk;
            using var work = new TemporaryDirectory();
            var part = disk + ".part";
            File.Delete(part);
            await MachineBootstrap.BuildAsync(MachineRecipe.Parse("debian:bookworm", 2L << 30, []), part, work.Path, _ => { });
            File.Move(part, disk);
            return disk;
        }
        finally
        {
            Gate.Release();
        }
    }
}
