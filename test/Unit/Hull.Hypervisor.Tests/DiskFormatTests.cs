using System.Text;
using Hull.Core;
using Hull.Hypervisor.CloudInit;
using Hull.Hypervisor.Disks;
using Hull.Testing;

namespace Hull.Hypervisor.Tests;

/// <summary>The volumes and tables we write, read back by the field's own tools.</summary>
public sealed class DiskFormatTests
{
    [Fact]
    public void SeedHoldsTheFilesUnderTheirLongNames()
    {
        var mtype = Require.Program("mtype");
        using var directory = new TemporaryDirectory();
        WriteFile(directory["seed"], stream => new CloudInitSeed("i-1", "box", "#cloud-config\npackages: []\n", "version: 2\n").WriteTo(stream));

        Assert.Equal("#cloud-config\npackages: []\n", Command.Run(mtype, "-i", directory["seed"], "::/user-data").Ok().Output);
        Assert.Equal("instance-id: i-1\nlocal-hostname: box\n", Command.Run(mtype, "-i", directory["seed"], "::/meta-data").Ok().Output);
        Assert.Equal("version: 2\n", Command.Run(mtype, "-i", directory["seed"], "::/network-config").Ok().Output);
    }

    [Fact]
    public void SeedHasTheLabelCloudInitLooksFor()
    {
        using var directory = new TemporaryDirectory();
        WriteFile(directory["seed"], stream => new CloudInitSeed("i-1", "box", "").WriteTo(stream));
        Assert.Equal("CIDATA", Command.Run(Require.Program("blkid"), "-p", "-o", "value", "-s", "LABEL", directory["seed"]).Ok().Trimmed);
    }

    [Fact]
    public void VolumeWithDirectoriesAndLargeFilesChecksClean()
    {
        var fsck = Require.Program("fsck.vfat");
        using var directory = new TemporaryDirectory();
        var content = new byte[300_000];
        new Random(1).NextBytes(content);
        var volume = new FatVolume("ESP", 32 << 20, 7);
        volume.AddFile("EFI/BOOT/BOOTX64.EFI", content);
        volume.AddFile("EFI/debian/grub.cfg", Encoding.ASCII.GetBytes("configfile\n"));
        volume.AddFile("a rather long name with spaces.text", [1, 2, 3]);
        volume.AddFile("a rather long name with blanks.text", []);
        for (var i = 0; i < 40; i++) volume.AddFile($"many/file-number-{i}.conf", [(byte)i]);
        WriteFile(directory["volume"], volume.WriteTo);

        Command.Run(fsck, "-n", directory["volume"]).Ok();
        Command.Run(Require.Program("mcopy"), "-i", directory["volume"], "::/EFI/BOOT/BOOTX64.EFI", directory["copy"]).Ok();
        Assert.Equal(content, File.ReadAllBytes(directory["copy"]));
        Command.Run("mcopy", "-i", directory["volume"], "::/many/file-number-39.conf", directory["last"]).Ok();
        Assert.Equal([39], File.ReadAllBytes(directory["last"]));
    }

    [Fact]
    public void VolumeThatIsTooSmallForItsFilesSaysSo()
    {
        var volume = new FatVolume("ESP", 4 << 20, 7);
        volume.AddFile("large", new byte[5 << 20]);
        using var stream = new MemoryStream();
        Assert.Equal(ErrorKind.ResourceExhausted, Assert.Throws<HullException>(() => volume.WriteTo(stream)).Kind);
    }

    [Fact]
    public void PartitionTableIsReadByOthers()
    {
        using var directory = new TemporaryDirectory();
        const long bytes = 64 << 20;
        WriteFile(directory["disk"], stream =>
        {
            stream.SetLength(bytes);
            new PartitionTable(Guid.Parse("11111111-2222-3333-4444-555555555555"), bytes,
            [
                new Partition("esp", PartitionTable.EfiSystem, Guid.Parse("aaaaaaaa-2222-3333-4444-555555555555"), 2048, 65536),
                new Partition("root", PartitionTable.LinuxRootX64, Guid.Parse("bbbbbbbb-2222-3333-4444-555555555555"), 67584, 40000),
            ]).WriteTo(stream);
        });

        var dump = Command.Run(Require.Program("sfdisk"), "--dump", directory["disk"]).Ok();
        Assert.DoesNotContain("corrupt", dump.Error + dump.Output, StringComparison.OrdinalIgnoreCase);
        Assert.Contains("label: gpt", dump.Output, StringComparison.Ordinal);
        Assert.Matches("start= +2048, size= +65536, type=C12A7328-F81F-11D2-BA4B-00A0C93EC93B", dump.Output);
        Assert.Matches("start= +67584, size= +40000.*name=\"root\"", dump.Output);
        Command.Run("sfdisk", "--verify", directory["disk"]).Ok();
    }

    [Fact]
    public void OverlappingPartitionsAreRefused()
    {
        var id = Guid.NewGuid();
        var error = Assert.Throws<HullException>(() => new PartitionTable(id, 64 << 20,
        [
            new Partition("first", PartitionTable.EfiSystem, id, 2048, 4096),
            new Partition("second", PartitionTable.LinuxRootX64, id, 4096, 4096),
        ]));
        Assert.Contains("'second' overlaps", error.Message, StringComparison.Ordinal);
    }

    private static void WriteFile(string path, Action<Stream> write)
    {
        using var stream = new FileStream(path, FileMode.CreateNew, FileAccess.ReadWrite);
        write(stream);
    }
}
