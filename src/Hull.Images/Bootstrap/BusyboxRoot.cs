using System.Formats.Tar;
using System.Text;
using Hull.Core;
using Hull.Images.Content;
using Hull.Linux.Processes;

namespace Hull.Images.Bootstrap;

/// <summary>The smallest useful root file system: Debian's static busybox under the name of each of its applets.</summary>
internal static class BusyboxRoot
{
    private const string Package = "busybox-static";
    private const string Program = "./bin/busybox";
    private const UnixFileMode Executable = (UnixFileMode)0b111_101_101;
    private const UnixFileMode Readable = (UnixFileMode)0b110_100_100;

    private static readonly (string Path, int Mode)[] Directories =
    [
        ("bin", 0x1ED), ("dev", 0x1ED), ("etc", 0x1ED), ("home", 0x1ED), ("proc", 0x1ED), ("root", 0x1C0), ("run", 0x1ED), ("sys", 0x1ED),
        ("tmp", 0x3FF), ("usr", 0x1ED), ("usr/bin", 0x1ED), ("usr/sbin", 0x1ED), ("sbin", 0x1ED), ("var", 0x1ED), ("var/log", 0x1ED), ("var/spool", 0x1ED), ("var/tmp", 0x3FF), ("var/www", 0x1ED),
    ];

    private static readonly (string Path, string Text)[] Files =
    [
        ("etc/passwd", "root:x:0:0:root:/root:/bin/sh\ndaemon:x:1:1:daemon:/usr/sbin:/bin/false\nbin:x:2:2:bin:/bin:/bin/false\nsys:x:3:3:sys:/dev:/bin/false\nwww-data:x:33:33:www-data:/var/www:/bin/false\nnobody:x:65534:65534:nobody:/home:/bin/false\n"),
        ("etc/group", "root:x:0:\ndaemon:x:1:\nbin:x:2:\nsys:x:3:\ntty:x:5:\ndisk:x:6:\nwww-data:x:33:\nusers:x:100:\nnogroup:x:65534:\n"),
        ("etc/shadow", "root:*:::::::\ndaemon:*:::::::\nbin:*:::::::\nsys:*:::::::\nwww-data:*:::::::\nnobody:*:::::::\n"),
        ("etc/nsswitch.conf", "passwd: files\ngroup: files\nhosts: files dns\n"),
        ("etc/profile", "export PATH=/bin:/sbin:/usr/bin:/usr/sbin\n"),
    ];

    /// <summary>Makes the layer; answers it with the package's name and version, and the time of its making.</summary>
    public static async Task<(StagedLayer Layer, string Input, DateTimeOffset Created)> BuildAsync(
        ContentStore store, Lease lease, string cache, CancellationToken cancellation)
    {
        var deb = await PackageCache.GetAsync(Package, cache, cancellation).ConfigureAwait(false);
        var tar = await ChildProcess.RunAsync(new ChildProcessOptions("dpkg-deb", "--fsys-tarfile", deb), capture: 64 << 20, cancellationToken: cancellation).ConfigureAwait(false);
        var (program, built) = Find(tar.RequireSuccess().Output);
        var applets = await AppletsAsync(program, cache, cancellation).ConfigureAwait(false);
        var layer = LayerStaging.Write(store, lease, output => WriteTar(output, program, applets, built));
        return (layer, Path.GetFileNameWithoutExtension(deb).Replace("%3a", ":", StringComparison.OrdinalIgnoreCase), built);
    }

    private static (byte[] Program, DateTimeOffset Built) Find(byte[] tar)
    {
        using var reader = new TarReader(new MemoryStream(tar));
        while (reader.GetNextEntry() is { } entry)
        {
            if (entry.Name != Program || entry.DataStream is null) continue;
            var bytes = new byte[entry.Length];
            entry.DataStream.ReadExactly(bytes);
            return (bytes, entry.ModificationTime);
        }

        throw HullException.Corrupted($"package {Package} has no {Program}");
    }

    /// <summary>Asks the program itself what it can do.</summary>
    private static async Task<IReadOnlyList<string>> AppletsAsync(byte[] program, string cache, CancellationToken cancellation)
    {
        var path = Path.Combine(cache, "busybox-" + RandomId.Short(RandomId.New()));
        try
        {
            Linux.Files.AtomicFile.Write(path, program, mode: 0x1C0 /* 0700 */, durable: false);
            var result = await ChildProcess.RunAsync(new ChildProcessOptions(path, "--list-full"), cancellationToken: cancellation).ConfigureAwait(false);
            return [.. result.RequireSuccess().OutputText.Split('\n', StringSplitOptions.RemoveEmptyEntries).Where(IsApplet).Order(StringComparer.Ordinal)];
        }
        finally
        {
            File.Delete(path);
        }
    }

    private static bool IsApplet(string path) =>
        path is not ("bin/busybox" or "linuxrc") && !path.Contains("..", StringComparison.Ordinal) && path.All(c => char.IsAsciiLetterOrDigit(c) || c is '/' or '[' or '_' or '-' or '.');

    private static void WriteTar(Stream output, byte[] program, IReadOnlyList<string> applets, DateTimeOffset time)
    {
        using var tar = new TarWriter(output, TarEntryFormat.Ustar, leaveOpen: true);
        foreach (var (path, mode) in Directories) tar.WriteEntry(Entry(TarEntryType.Directory, path + "/", (UnixFileMode)mode, time));
        var binary = Entry(TarEntryType.RegularFile, "bin/busybox", Executable, time);
        binary.DataStream = new MemoryStream(program);
        tar.WriteEntry(binary);
        foreach (var applet in applets)
        {
            // One file under many names, as a package manager's upgrade of it expects.
            var link = Entry(TarEntryType.HardLink, applet, Executable, time);
            link.LinkName = "bin/busybox";
            tar.WriteEntry(link);
        }

        foreach (var (path, text) in Files)
        {
            var file = Entry(TarEntryType.RegularFile, path, path == "etc/shadow" ? (UnixFileMode)0b110_000_000 : Readable, time);
            file.DataStream = new MemoryStream(Encoding.UTF8.GetBytes(text));
            tar.WriteEntry(file);
        }
    }

    private static UstarTarEntry Entry(TarEntryType type, string path, UnixFileMode mode, DateTimeOffset time) =>
        new(type, path) { Mode = mode, ModificationTime = time, UserName = "", GroupName = "" };
}
