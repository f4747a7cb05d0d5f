using Hull.Core;
using Hull.Linux;
using Hull.Linux.Abi;
using Hull.Linux.Files;
using Hull.Linux.Syscalls;

namespace Hull.Images.Snapshots;

/// <summary>Applies one layer, in overlayfs's form, to a tree: the union done by hand.</summary>
internal sealed class LayerCopier(RootDirectory layer, RootDirectory target, HashSet<string> implied)
{
    private const string OpaqueXattr = "trusted.overlay.opaque";

    private readonly Dictionary<ulong, string> _linked = [];
    private readonly List<(string Path, FileStatus Status)> _directories = [];

    public void Copy()
    {
        TreeWalk.Walk(layer, Apply);
        // Deepest first: giving a directory its time comes after everything was put into it.
        for (var i = _directories.Count - 1; i >= 0; i--) FinishDirectory(_directories[i].Path, _directories[i].Status);
    }

    private void Apply(string path, FileStatus status)
    {
        if (status.IsDirectory)
        {
            ApplyDirectory(path, status);
            return;
        }

        target.RemoveTree(path);
        if (status.Kind == FileKind.CharacterDevice && status.Represents == (0, 0)) return;
        if (status.Links > 1 && _linked.TryGetValue(status.Inode, out var first))
        {
            target.CreateHardLink(first, path);
            return;
        }

        if (status.Links > 1) _linked[status.Inode] = path;
        switch (status.Kind)
        {
            case FileKind.Regular: CopyFile(path, status); break;
            case FileKind.SymbolicLink: target.CreateSymbolicLink(layer.ReadLink(path), path); break;
            default: target.CreateNode(path, TypeOf(status.Kind) | status.Mode, status.Represents.Major, status.Represents.Minor); break;
        }

        CopyMetadata(path, status);
    }

    private void ApplyDirectory(string path, FileStatus status)
    {
        var there = path.Length == 0 ? target.Descriptor.Stat() : target.TryStat(path);
        var opaque = layer.GetExtendedAttribute(path.Length == 0 ? "." : path, OpaqueXattr) is [(byte)'y'];
        if (there is { IsDirectory: false } || (opaque && there is not null && path.Length > 0))
        {
            target.RemoveTree(path);
            there = null;
        }

        if (there is null) target.CreateDirectory(path, 0x1C0);
        // A directory the layer does not describe keeps what a lower layer said of it.
        if (there is null || !implied.Contains(path)) _directories.Add((path, status));
    }

    private void FinishDirectory(string path, FileStatus status)
    {
        if (path.Length > 0)
        {
            CopyMetadata(path, status);
            return;
        }

        DescriptorMetadata.SetOwner(target.Descriptor, status.User, status.Group, target.Name);
        DescriptorMetadata.SetMode(target.Descriptor, status.Mode, target.Name);
    }

    private void CopyFile(string path, FileStatus status)
    {
        using var source = layer.OpenFile(path, Fcntl.O_RDONLY | Fcntl.O_NOFOLLOW);
        using var copy = target.CreateFileExclusive(path, 0x180);
        for (var left = status.Size; left > 0;)
        {
            var count = (long)Check.Result(FileCalls.CopyFileRange(source.Value, copy.Value, left), $"copy {path}");
            if (count == 0) throw HullException.Corrupted($"{path} of the layer is shorter than it says");
            left -= count;
        }
    }

    private void CopyMetadata(string path, FileStatus status)
    {
        target.SetOwner(path, status.User, status.Group);
        foreach (var name in layer.ListExtendedAttributes(path))
        {
            if (!name.StartsWith("trusted.overlay.", StringComparison.Ordinal) && layer.GetExtendedAttribute(path, name) is { } value)
                target.SetExtendedAttribute(path, name, value);
        }

        if (!status.IsSymbolicLink) target.SetMode(path, status.Mode);
        target.SetTimes(path, status.Modified, status.Modified);
    }

    private static uint TypeOf(FileKind kind) => kind switch
    {
        FileKind.CharacterDevice => StatMode.S_IFCHR,
        FileKind.BlockDevice => StatMode.S_IFBLK,
        FileKind.Socket => StatMode.S_IFSOCK,
        _ => StatMode.S_IFIFO,
    };
}
