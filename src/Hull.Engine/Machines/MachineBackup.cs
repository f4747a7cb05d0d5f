using System.Security.Cryptography;
using System.Text.Json.Serialization;
using Hull.Core;
using Hull.Hypervisor.Disks;
using Hull.Linux.Files;

namespace Hull.Engine.Machines;

/// <summary>One backup: a directory with <c>backup.json</c> and an image per disk.</summary>
/// <param name="Parent">Name of the backup directory this one only adds to; null for a full one.</param>
/// <param name="Disks">File, length and checksum of each disk's image by disk id.</param>
public sealed record MachineBackup(string Name, string MachineId, DateTimeOffset Created, string? Parent, MachineConfig Config,
    IReadOnlyDictionary<string, BackupFile> Disks)
{
    private const string Document = "backup.json";

    public static MachineBackup Read(string directory) =>
        AtomicFile.TryReadJson(Path.Combine(directory, Document), MachineBackupJson.Default.MachineBackup)
        ?? throw HullException.NotFound($"'{directory}' holds no backup: there is no {Document} in it");

    /// <summary>The document comes last: a directory without it is a backup that was not finished.</summary>
    public void Write(string directory) =>
        AtomicFile.WriteJson(Path.Combine(directory, Document), this, MachineBackupJson.Default.MachineBackup);

    /// <summary>The files that a disk's image stands on: those of the backups this one adds to.</summary>
    public IReadOnlyList<string> Below(string directory, string diskId)
    {
        if (Parent is null) return [];
        if (Parent != Path.GetFileName(Parent)) throw HullException.Corrupted($"backup '{Name}' names a parent outside its directory: '{Parent}'");
        var above = Path.Combine(Path.GetDirectoryName(Path.GetFullPath(directory))!, Parent);
        return Read(above).FilesFrom(above, diskId);
    }

    /// <summary>A disk's image in this backup, and what it stands on.</summary>
    public IReadOnlyList<string> FilesFrom(string directory, string diskId) =>
        Disks.TryGetValue(diskId, out var file) ? [Path.Combine(directory, Path.GetFileName(file.Name)), .. Below(directory, diskId)] : [];

    /// <summary>
    /// Checks this backup and all it stands on: every file is there, is what its checksum says, and is an image without
    /// damage. Throws <see cref="ErrorKind.DataCorrupted"/>.
    /// </summary>
    public async Task VerifyAsync(string directory, CancellationToken cancellationToken = default)
    {
        foreach (var (id, file) in Disks)
        {
            if (file.Name != Path.GetFileName(file.Name)) throw HullException.Corrupted($"backup '{Name}' names a file outside it: '{file.Name}'");
            var path = Path.Combine(directory, file.Name);
            if (!File.Exists(path)) throw HullException.Corrupted($"backup '{Name}' lacks the image of {id}, '{file.Name}'");
            if (await BackupFile.SumAsync(path, cancellationToken).ConfigureAwait(false) != file.Sha256)
                throw HullException.Corrupted($"the image '{path}' of backup '{Name}' is not what was written: its checksum differs");
            await DiskImage.CheckAsync(path, "qcow2", cancellationToken, Below(directory, id)).ConfigureAwait(false);
        }

        if (Parent is null) return;
        if (Parent != Path.GetFileName(Parent)) throw HullException.Corrupted($"backup '{Name}' names a parent outside its directory: '{Parent}'");
        var above = Path.Combine(Path.GetDirectoryName(Path.GetFullPath(directory))!, Parent);
        await Read(above).VerifyAsync(above, cancellationToken).ConfigureAwait(false);
    }
}

/// <param name="Name">Name of the file in the backup's directory.</param>
public sealed record BackupFile(string Name, long Bytes, string Sha256)
{
    internal static async Task<BackupFile> OfAsync(string path, CancellationToken cancellationToken) =>
        new(Path.GetFileName(path), new FileInfo(path).Length, await SumAsync(path, cancellationToken).ConfigureAwait(false));

    internal static async Task<string> SumAsync(string path, CancellationToken cancellationToken)
    {
        await using var file = File.OpenRead(path);
        return Convert.ToHexStringLower(await SHA256.HashDataAsync(file, cancellationToken).ConfigureAwait(false));
    }
}

[JsonSourceGenerationOptions(WriteIndented = true, PropertyNamingPolicy = JsonKnownNamingPolicy.CamelCase,
    DefaultIgnoreCondition = JsonIgnoreCondition.WhenWritingNull)]
[JsonSerializable(typeof(MachineBackup))]
internal sealed partial class MachineBackupJson : JsonSerializerContext;
