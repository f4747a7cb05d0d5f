using System.Formats.Tar;
using System.Security.Cryptography;
using System.Text;

namespace Hull.Hypervisor.Disks;

/// <summary>
/// OVA files: a tar of a descriptor, a manifest of checksums and the disks (DMTF DSP0243, section 5). What is read may
/// be hostile: only regular files with a plain name are taken, each checked against the manifest where there is one.
/// </summary>
public static class OvaArchive
{
    private const int MaximumEntries = 64;

    /// <summary>Unpacks an archive into an empty directory and answers what it describes.</summary>
    /// <param name="maximumBytes">Bound on all that is unpacked.</param>
    public static async Task<OvfDescriptor> ExtractAsync(Stream archive, string directory, long maximumBytes,
        CancellationToken cancellationToken = default)
    {
        var sums = new Dictionary<string, string>();
        string? descriptor = null, manifest = null;
        var left = maximumBytes;
        await using var reader = new TarReader(archive, leaveOpen: true);
        while (await reader.GetNextEntryAsync(copyData: false, cancellationToken).ConfigureAwait(false) is { } entry)
        {
            RequirePlain(entry, sums);
            left -= entry.Length;
            if (left < 0) throw new HullException(ErrorKind.ResourceExhausted, $"the archive holds more than {maximumBytes} bytes");
            var path = Path.Combine(directory, entry.Name);
            sums.Add(entry.Name, await SaveAsync(entry, path, cancellationToken).ConfigureAwait(false));
            if (entry.Name.EndsWith(".ovf", StringComparison.OrdinalIgnoreCase)) descriptor = path;
            if (entry.Name.EndsWith(".mf", StringComparison.OrdinalIgnoreCase)) manifest = path;
        }

        if (descriptor is null) throw HullException.Invalid("the archive holds no .ovf descriptor: is it an OVA file?");
        if (manifest is not null) CheckManifest(await File.ReadAllLinesAsync(manifest, cancellationToken).ConfigureAwait(false), sums);
        await using var xml = File.OpenRead(descriptor);
        var machine = OvfDescriptor.Parse(xml);
        foreach (var disk in machine.Disks.Where(disk => !sums.ContainsKey(disk.File)))
            throw HullException.Invalid($"the descriptor names the disk '{disk.File}', which is not in the archive");
        return machine;
    }

    /// <summary>Writes an archive. The disks' files are named by the descriptor and looked up in <paramref name="directory"/>.</summary>
    public static async Task WriteAsync(OvfDescriptor machine, string directory, Stream output,
        CancellationToken cancellationToken = default)
    {
        var descriptor = Encoding.UTF8.GetBytes(machine.Write());
        var manifest = new StringBuilder($"SHA256({machine.Name}.ovf)= {Convert.ToHexStringLower(SHA256.HashData(descriptor))}\n");
        await using var writer = new TarWriter(output, TarEntryFormat.Ustar, leaveOpen: true);
        // The descriptor comes first, so that a reader of a stream knows what follows.
        await WriteEntryAsync(writer, machine.Name + ".ovf", new MemoryStream(descriptor), cancellationToken).ConfigureAwait(false);
        foreach (var disk in machine.Disks)
        {
            await using var file = File.OpenRead(Path.Combine(directory, disk.File));
            var sum = await SHA256.HashDataAsync(file, cancellationToken).ConfigureAwait(false);
            manifest.Append($"SHA256({disk.File})= {Convert.ToHexStringLower(sum)}\n");
            file.Position = 0;
            await WriteEntryAsync(writer, disk.File, file, cancellationToken).ConfigureAwait(false);
        }

        await WriteEntryAsync(writer, machine.Name + ".mf", new MemoryStream(Encoding.UTF8.GetBytes(manifest.ToString())),
            cancellationToken).ConfigureAwait(false);
    }

    private static void RequirePlain(TarEntry entry, Dictionary<string, string> seen)
    {
        if (entry.EntryType is not (TarEntryType.RegularFile or TarEntryType.V7RegularFile))
            throw HullException.Invalid($"the archive holds '{entry.Name}', which is not a regular file");
        if (entry.Name != Path.GetFileName(entry.Name) || entry.Name is "" or "." or "..")
            throw HullException.Invalid($"the archive holds '{entry.Name}', whose name is not a plain file name");
        if (seen.ContainsKey(entry.Name)) throw HullException.Invalid($"the archive holds '{entry.Name}' twice");
        if (seen.Count >= MaximumEntries) throw HullException.Invalid($"the archive holds more than {MaximumEntries} files");
    }

    private static async Task<string> SaveAsync(TarEntry entry, string path, CancellationToken cancellationToken)
    {
        await using var file = new FileStream(path, FileMode.CreateNew, FileAccess.Write);
        using var hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
        var buffer = new byte[1 << 20];
        int count;
        while (entry.DataStream is not null &&
               (count = await entry.DataStream.ReadAsync(buffer, cancellationToken).ConfigureAwait(false)) > 0)
        {
            hash.AppendData(buffer, 0, count);
            await file.WriteAsync(buffer.AsMemory(0, count), cancellationToken).ConfigureAwait(false);
        }

        return Convert.ToHexStringLower(hash.GetHashAndReset());
    }

    /// <summary>Lines are <c>SHA256(name)= hex</c>. Other algorithms are older than this check and are not verified.</summary>
    private static void CheckManifest(string[] lines, Dictionary<string, string> sums)
    {
        foreach (var line in lines.Where(line => line.StartsWith("SHA256(", StringComparison.OrdinalIgnoreCase)))
        {
            var close = line.IndexOf(')', StringComparison.Ordinal);
            var equals = line.IndexOf('=', StringComparison.Ordinal);
            if (close < 0 || equals < close) throw HullException.Corrupted($"the manifest has a line that cannot be read: '{line}'");
            var name = line["SHA256(".Length..close];
            if (sums.TryGetValue(name, out var sum) && !sum.Equals(line[(equals + 1)..].Trim(), StringComparison.OrdinalIgnoreCase))
                throw HullException.Corrupted($"'{name}' in the archive does not have the checksum of the manifest");
        }
    }

    private static async Task WriteEntryAsync(TarWriter writer, string name, Stream content, CancellationToken cancellationToken)
    {
        var entry = new UstarTarEntry(TarEntryType.RegularFile, name)
        {
            DataStream = content,
            Mode = UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.GroupRead | UnixFileMode.OtherRead,
            ModificationTime = DateTimeOffset.UnixEpoch,
        };
        await writer.WriteEntryAsync(entry, cancellationToken).ConfigureAwait(false);
    }
}
