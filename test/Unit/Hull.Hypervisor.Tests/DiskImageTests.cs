using System.Formats.Tar;
using System.Globalization;
using System.Text;
using Hull.Core;
using Hull.Hypervisor.Disks;
using Hull.Linux.Processes;
using Hull.Testing;

namespace Hull.Hypervisor.Tests;

public sealed class DiskImageTests : IDisposable
{
    private const long Size = 8 << 20;
    private readonly TemporaryDirectory _directory = new();

    public DiskImageTests() => Require.Program("qemu-img");

    public void Dispose() => _directory.Dispose();

    [Theory]
    [InlineData("qcow2")]
    [InlineData("vmdk")]
    [InlineData("vdi")]
    [InlineData("vhdx")]
    public async Task ContentSurvivesEveryFormat(string format)
    {
        var content = new byte[Size];
        new Random(2).NextBytes(content.AsSpan(0, 1 << 20));
        await File.WriteAllBytesAsync(_directory["raw"], content);
        await DiskImage.ConvertAsync(_directory["raw"], "raw", _directory["image"], format);
        Assert.Equal((format, Size), await Describe("image"));
        await DiskImage.CheckAsync(_directory["image"], format);
        await DiskImage.ConvertAsync(_directory["image"], format, _directory["back"], "raw");
        Assert.Equal(content, await File.ReadAllBytesAsync(_directory["back"]));
    }

    [Fact]
    public async Task OverlayStandsOnItsBackingFile()
    {
        await DiskImage.CreateAsync(_directory["base"], "qcow2", Size);
        await DiskImage.CreateOverlayAsync(_directory["clone"], _directory["base"], "qcow2");
        Assert.Equal(_directory["base"], (await DiskImage.InspectAsync(_directory["clone"], "qcow2")).BackingFile);
    }

    [Fact]
    public async Task WhatAnImageNamesAndWasNotGivenIsNotRead()
    {
        Require.Root();
        await DiskImage.CreateAsync(_directory["base"], "qcow2", Size);
        await DiskImage.CreateOverlayAsync(_directory["middle"], _directory["base"], "qcow2");
        await DiskImage.CreateOverlayAsync(_directory["top"], _directory["middle"], "qcow2", below: [_directory["base"]]);
        var error = await Assert.ThrowsAsync<HullException>(() => DiskImage.ConvertAsync(_directory["top"], "qcow2", _directory["out"], "raw", below: [_directory["middle"]]));
        Assert.Contains("base", error.Message, StringComparison.Ordinal);
        Assert.False(File.Exists(_directory["out"]));
        await DiskImage.ConvertAsync(_directory["top"], "qcow2", _directory["out"], "raw", below: [_directory["middle"], _directory["base"]]);
        await DiskImage.RebaseAsync(_directory["top"], _directory["base"], [_directory["middle"], _directory["base"]]);
        Assert.Equal(_directory["base"], (await DiskImage.InspectAsync(_directory["top"], "qcow2")).BackingFile);
    }

    /// <summary>As an image could make of qemu-img: it reads what it was given, and is nobody with little memory.</summary>
    [Fact]
    public void WhatRunsInTheJailIsNobodyAndHasLittleMemory()
    {
        Require.Root();
        File.WriteAllText(_directory["given"], "content");
        File.SetUnixFileMode(_directory["given"], UnixFileMode.UserRead | UnixFileMode.UserWrite);
        using var jail = new ImageJail([_directory["given"]], null);
        var result = ChildProcess.Run(new ChildProcessOptions("/usr/bin/sh", "-c", $"""
            cat {_directory["given"]}; echo; id -u; ulimit -v; grep -E '^Cap(Eff|Bnd)' /proc/self/status
            chmod 777 {_directory["given"]} 2> /dev/null && echo changed; [ -e {_directory["given"]}x ] || ls {_directory.Path} | wc -l
            """), starter: jail.Start);
        var said = result.OutputText.Split('\n', StringSplitOptions.RemoveEmptyEntries);
        Assert.True(uint.Parse(said[1], CultureInfo.InvariantCulture) >= 1_900_000_000, said[1]);
        Assert.Equal(["content", said[1], (ImageJail.MaximumMemory / 1024).ToString(CultureInfo.InvariantCulture), "CapEff:\t0000000000000002", "CapBnd:\t0000000000000002", "1"], said);
    }

    [Fact]
    public void OfAKilledOperationNothingStays()
    {
        Require.Root();
        var left = Directory.CreateDirectory(Path.Combine(Path.GetTempPath(), "hull-image-2147483647-1-test"));
        var own = Directory.CreateTempSubdirectory("hull-image-of-somebody");
        DiskImage.RemoveRemains();
        Assert.False(Directory.Exists(left.FullName));
        Assert.True(Directory.Exists(own.FullName));
        own.Delete();
    }

    [Fact]
    public async Task ForeignImageWithBackingFileIsRefused()
    {
        await DiskImage.CreateOverlayAsync(_directory["evil"], "/etc/passwd", "raw");
        var error = await Assert.ThrowsAsync<HullException>(() => DiskImage.InspectForeignAsync(_directory["evil"]));
        Assert.Contains("'/etc/passwd'", error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task ForeignDescriptorThatPointsElsewhereIsRefused()
    {
        await File.WriteAllTextAsync(_directory["evil.vmdk"],
            "# Disk DescriptorFile\nversion=1\nCID=fffffffe\nparentCID=ffffffff\ncreateType=\"monolithicFlat\"\n" +
            "RW 8 FLAT \"/etc/passwd\" 0\nddb.virtualHWVersion = \"4\"\n");
        await Assert.ThrowsAsync<HullException>(() => DiskImage.InspectForeignAsync(_directory["evil.vmdk"]));
    }

    [Fact]
    public async Task ShrinkingIsRefusedAndGrowingWorks()
    {
        await DiskImage.CreateAsync(_directory["disk"], "qcow2", Size);
        Assert.Equal(ErrorKind.InvalidArgument,
            (await Assert.ThrowsAsync<HullException>(() => DiskImage.GrowAsync(_directory["disk"], "qcow2", Size / 2))).Kind);
        await DiskImage.GrowAsync(_directory["disk"], "qcow2", Size * 2);
        Assert.Equal(("qcow2", Size * 2), await Describe("disk"));
    }

    [Fact]
    public async Task DamageIsFound()
    {
        await DiskImage.CreateAsync(_directory["disk"], "qcow2", Size);
        await using (var file = File.OpenWrite(_directory["disk"]))
        {
            file.Position = 65536; // the refcount table
            await file.WriteAsync(new byte[] { 0x7F, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF });
        }

        Assert.Equal(ErrorKind.DataCorrupted,
            (await Assert.ThrowsAsync<HullException>(() => DiskImage.CheckAsync(_directory["disk"], "qcow2"))).Kind);
    }

    [Fact]
    public async Task OvaComesBackAsItWasWritten()
    {
        await DiskImage.CreateAsync(_directory["base"], "qcow2", Size);
        await DiskImage.ConvertAsync(_directory["base"], "qcow2", _directory["box-disk0.vmdk"], "vmdk", "subformat=streamOptimized");
        var machine = new OvfDescriptor("box", 2, 512L << 20, [new OvfDisk("box-disk0.vmdk", Size)], 1, Uefi: true);
        await using var archive = new MemoryStream();
        await OvaArchive.WriteAsync(machine, _directory.Path, archive);

        archive.Position = 0;
        var target = Directory.CreateDirectory(_directory["out"]).FullName;
        var read = await OvaArchive.ExtractAsync(archive, target, 1 << 30);
        Assert.Equivalent(machine, read, strict: true);
        Assert.Equal(await File.ReadAllBytesAsync(_directory["box-disk0.vmdk"]), await File.ReadAllBytesAsync(Path.Combine(target, "box-disk0.vmdk")));
    }

    [Theory]
    [InlineData("../evil.ovf")]
    [InlineData("/tmp/evil.ovf")]
    [InlineData("a/evil.ovf")]
    public async Task OvaEntryOutsideItsDirectoryIsRefused(string name)
    {
        var error = await Assert.ThrowsAsync<HullException>(() => Extract((name, "<x/>")));
        Assert.Contains("not a plain file name", error.Message, StringComparison.Ordinal);
        Assert.Empty(Directory.EnumerateFileSystemEntries(_directory["out"]));
    }

    [Fact]
    public async Task OvaWithWrongChecksumIsRefused() => Assert.Equal(ErrorKind.DataCorrupted,
        (await Assert.ThrowsAsync<HullException>(() => Extract(("m.ovf", "<x/>"), ("m.mf", "SHA256(m.ovf)= 00\n")))).Kind);

    [Fact]
    public async Task OvaThatOutgrowsItsBoundIsRefused() => Assert.Equal(ErrorKind.ResourceExhausted,
        (await Assert.ThrowsAsync<HullException>(() => Extract(("m.ovf", new string(' ', 5000))))).Kind);

    [Fact]
    public async Task DescriptorWithEntitiesIsRefused() => Assert.Contains("not well-formed",
        (await Assert.ThrowsAsync<HullException>(() =>
            Extract(("m.ovf", "<!DOCTYPE x [<!ENTITY e SYSTEM \"file:///etc/passwd\">]><x>&e;</x>")))).Message, StringComparison.Ordinal);

    private async Task<OvfDescriptor> Extract(params (string Name, string Text)[] entries)
    {
        await using var archive = new MemoryStream();
        await using (var writer = new TarWriter(archive, TarEntryFormat.Ustar, leaveOpen: true))
        {
            foreach (var (name, text) in entries)
            {
                await writer.WriteEntryAsync(new UstarTarEntry(TarEntryType.RegularFile, name)
                {
                    DataStream = new MemoryStream(Encoding.UTF8.GetBytes(text)),
                });
            }
        }

        archive.Position = 0;
        return await OvaArchive.ExtractAsync(archive, Directory.CreateDirectory(_directory["out"]).FullName, 4096);
    }

    private async Task<(string, long)> Describe(string name)
    {
        var info = await DiskImage.InspectAsync(_directory[name]);
        return (info.Format, info.VirtualBytes);
    }
}
