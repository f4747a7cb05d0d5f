using Hull.Core;
using Hull.Engine.Machines;
using Hull.Hypervisor.Qemu;
using Hull.Images.Distribution;
using Hull.Testing;

namespace Hull.MachineContract.Tests;

/// <summary>Machines that go through a registry come back the same, and what occurs twice is stored once.</summary>
public sealed class MachineArtifactTests : IDisposable
{
    private const int Chunk = 4 << 20;
    private readonly TemporaryDirectory _directory = new("ha");
    private readonly RegistryProcess _registry = RegistryProcess.Hull();
    private readonly RegistrySource _source = new(new DistributionOptions());

    private ImageReference Reference => ImageReference.Parse($"{_registry.Address}/machines/box:v1");

    public void Dispose()
    {
        _source.Dispose();
        _registry.Dispose();
        _directory.Dispose();
    }

    [Fact]
    public async Task ComesBackTheSameAndEqualChunksAreStoredOnce()
    {
        await using var manager = await OpenAsync();
        Write("disk.raw", (0, 1), (2 * Chunk, 2), (3 * Chunk, 1));
        await manager.CreateAsync(new MachineConfig { Name = "box", Processors = 3, MemoryBytes = 96 << 20 }, [new ImportedDisk(_directory["disk.raw"])]);

        var digest = await manager.PushAsync("box", Reference, _source);
        var (_, manifest) = await Resolved();
        Assert.Equal(("application/vnd.hull.machine.v1", 3, 2), (manifest.ArtifactType, manifest.Layers.Count, manifest.Layers.Select(layer => layer.Digest).Distinct().Count()));
        Assert.Equal(digest, await manager.PushAsync("box", Reference, _source));

        var pulled = await manager.PullAsync(Reference, _source, artifact => new MachineConfig { Name = "copy", Processors = artifact.Processors, MemoryBytes = artifact.MemoryBytes });
        Assert.Equal((3, 96L << 20), (pulled.Record.Config.Processors, pulled.Record.Config.MemoryBytes));
        await manager.ExportDiskAsync("copy", "disk0", _directory["copy.raw"], "raw");
        Command.Run("cmp", _directory["disk.raw"], _directory["copy.raw"]).Ok();
    }

    [Fact]
    public async Task WhatIsNotWhatItsDigestSaysIsRefused()
    {
        await using var manager = await OpenAsync();
        Write("disk.raw", (0, 7));
        await manager.CreateAsync(new MachineConfig { Name = "box" }, [new ImportedDisk(_directory["disk.raw"])]);
        await manager.PushAsync("box", Reference, _source);
        var (_, manifest) = await Resolved();
        var blob = Path.Combine(_registry.Directory, "data", "blobs", "sha256", manifest.Layers[0].Digest.Hex);
        var bytes = File.ReadAllBytes(blob);
        bytes[^1] ^= 1;
        File.Delete(blob);
        File.WriteAllBytes(blob, bytes);

        var error = await Assert.ThrowsAsync<HullException>(() => manager.PullAsync(Reference, _source, _ => new MachineConfig { Name = "copy" }));
        Assert.Equal(ErrorKind.DataCorrupted, error.Kind);
        Assert.Single(manager.Machines);
        Assert.Single(Directory.EnumerateDirectories(_directory["machines"]));
    }

    private async Task<(string, Hull.Oci.Image.ImageManifest)> Resolved()
    {
        var resolved = await _source.ResolveAsync(Reference);
        return (resolved.Descriptor.MediaType, resolved.Document!.Manifest!);
    }

    /// <summary>A disk of 16 MiB with a chunk's worth of pseudo-random bytes at each of the places.</summary>
    private void Write(string name, params (int Offset, int Seed)[] places)
    {
        using var file = new FileStream(_directory[name], FileMode.CreateNew);
        file.SetLength(4 * Chunk);
        foreach (var (offset, seed) in places)
        {
            var bytes = new byte[Chunk];
            new Random(seed).NextBytes(bytes);
            file.Position = offset;
            file.Write(bytes);
        }
    }

    private Task<MachineManager> OpenAsync() => MachineManager.OpenAsync(new MachineManagerOptions(_directory["machines"], _directory["run"],
        async (architecture, cancellation) => await QemuHypervisor.DetectAsync(architecture, Path.Combine(Repository.Root, "out", "cache"), cancellation)));
}
