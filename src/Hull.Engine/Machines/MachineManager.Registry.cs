using Hull.Core;
using Hull.Hypervisor.Disks;
using Hull.Images.Distribution;

namespace Hull.Engine.Machines;

/// <summary>Machines to and from registries; see <see cref="MachineArtifacts"/>.</summary>
public sealed partial class MachineManager
{
    private const string PushDirectory = "push";

    /// <summary>Pushes a machine with its disks as they are now, while it runs or not, and answers the digest of its manifest.</summary>
    public Task<Digest> PushAsync(string machine, ImageReference target, RegistrySource registry, CancellationToken cancellationToken = default) =>
        ExclusiveAsync(machine, async record =>
        {
            var work = Directory.CreateDirectory(Path.Combine(_store.DirectoryOf(record.Id), PushDirectory)).FullName;
            try
            {
                await CopyDisksAsync(record, work, cancellationToken).ConfigureAwait(false);
                var disks = new Dictionary<string, string>();
                foreach (var disk in record.Config.Disks.Where(disk => !disk.Medium))
                {
                    var copy = Path.Combine(work, disk.Id + ".qcow2");
                    await DiskImage.ConvertAsync(copy, "qcow2", disks[disk.Id] = Path.Combine(work, disk.Id), "raw", null, cancellationToken).ConfigureAwait(false);
                    File.Delete(copy);
                }

                var config = record.Config;
                var artifact = new MachineArtifact(config.Architecture, config.Firmware, config.Processors, config.MemoryBytes,
                    disks.ToDictionary(disk => disk.Key, disk => new FileInfo(disk.Value).Length));
                return await MachineArtifacts.PushAsync(artifact, disks, target, registry, cancellationToken).ConfigureAwait(false);
            }
            finally
            {
                Directory.Delete(work, recursive: true);
            }
        }, cancellationToken);

    /// <summary>Makes a machine of one in a registry. All of it is verified by its digests; what fails leaves nothing.</summary>
    /// <param name="configFor">What the machine is to be, given what the pushed one was; its disks are put first.</param>
    public async Task<MachineView> PullAsync(ImageReference reference, RegistrySource registry, Func<MachineArtifact, MachineConfig> configFor,
        CancellationToken cancellationToken = default)
    {
        var (artifact, manifest) = await MachineArtifacts.ResolveAsync(reference, registry, cancellationToken).ConfigureAwait(false);
        var config = configFor(artifact).Validated();
        return await MakeAsync(config.Name, async directory =>
        {
            await MachineArtifacts.PullAsync(artifact, manifest, reference, registry, id => Path.Combine(directory, id + ".raw"), cancellationToken).ConfigureAwait(false);
            List<MachineDisk> disks = [];
            foreach (var id in artifact.Disks.Keys)
            {
                var raw = Path.Combine(directory, id + ".raw");
                await DiskImage.ConvertAsync(raw, "raw", Path.Combine(directory, id + ".qcow2"), "qcow2", null, cancellationToken).ConfigureAwait(false);
                File.Delete(raw);
                disks.Add(new MachineDisk(id, id + ".qcow2", "qcow2", BootIndex: disks.Count));
            }

            return config with { Disks = [.. disks, .. config.Disks] };
        }).ConfigureAwait(false);
    }
}
