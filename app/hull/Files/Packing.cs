using System.Formats.Tar;
using Hull.Core;

namespace Hull.Cli.Files;

/// <summary>Writes files of this machine as an archive.</summary>
internal static class Packing
{
    /// <summary>Writes what is at the path, under a name; an empty name writes the content of a directory.</summary>
    public static void Pack(string path, string name, Stream destination)
    {
        using var writer = new TarWriter(destination, TarEntryFormat.Pax, leaveOpen: true);
        if (name.Length > 0) Write(writer, Info(path), name);
        else foreach (var child in Children(new DirectoryInfo(path))) Write(writer, child, child.Name);
    }

    private static void Write(TarWriter writer, FileSystemInfo item, string name)
    {
        try
        {
            writer.WriteEntry(item.FullName, name);
        }
        catch (IOException error) when (error is not (FileNotFoundException or DirectoryNotFoundException) && IsSocket(item))
        {
            // A socket is nothing without the process behind it, and has no place in an archive.
            return;
        }

        if (item is not DirectoryInfo directory || item.LinkTarget is not null) return;
        foreach (var child in Children(directory)) Write(writer, child, name + "/" + child.Name);
    }

    private static bool IsSocket(FileSystemInfo item) => item is FileInfo { Length: 0 } && item.LinkTarget is null && !OperatingSystem.IsWindows();

    private static IEnumerable<FileSystemInfo> Children(DirectoryInfo directory) =>
        directory.EnumerateFileSystemInfos("*", new EnumerationOptions { AttributesToSkip = 0 }).OrderBy(item => item.Name, StringComparer.Ordinal);

    private static FileSystemInfo Info(string path)
    {
        var directory = new DirectoryInfo(path.TrimEnd('/') is { Length: > 0 } clean ? clean : "/");
        return directory.Exists ? directory : new FileInfo(path);
    }
}
