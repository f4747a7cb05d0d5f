using Hull.Core;
using Hull.Linux.Abi;
using Hull.Linux.Syscalls;
using static Hull.Linux.Abi.MountApi;

namespace Hull.Linux.Mounts;

/// <summary>
/// A mount that is attached nowhere yet: it can be given attributes and is then placed by descriptor, so no name is
/// resolved twice. It goes away with this object unless it was attached.
/// </summary>
public sealed class DetachedMount : IDisposable
{
    private DetachedMount(SafeFd descriptor, string description)
    {
        Descriptor = descriptor;
        Description = description;
    }

    public SafeFd Descriptor { get; }

    public string Description { get; }

    /// <summary>Makes a new instance of a file system. A null value sets a flag; see fsconfig(2).</summary>
    public static DetachedMount Create(string type, IEnumerable<(string Key, string? Value)> settings, ulong attributes = 0)
    {
        var options = settings.ToList();
        try
        {
            return CreateByContext(type, options, attributes);
        }
        catch (HullException cause) when (cause.Errno == Errno.EINVAL && options.Any(option => option.Key == OneCallOverlay.LowerDirectory))
        {
            var overlay = new DetachedMount(OneCallOverlay.Create(options), type);
            if (attributes != 0) overlay.SetAttributes(new MountAttr { attr_set = attributes });
            return overlay;
        }
    }

    private static DetachedMount CreateByContext(string type, IEnumerable<(string Key, string? Value)> options, ulong attributes)
    {
        using var context = Check.Descriptor(MountCalls.FsOpen(type), $"use file system {type}");
        foreach (var (key, value) in options)
        {
            Check.Result(
                value is null ? MountCalls.FsConfigFlag(context.Value, key) : MountCalls.FsConfigString(context.Value, key, value),
                $"set option {key}{(value is null ? "" : "=" + value)} of a new {type}");
        }

        Check.Result(MountCalls.FsConfigCreate(context.Value), $"create a new {type}");
        return new DetachedMount(Check.Descriptor(MountCalls.FsMount(context.Value, attributes), $"mount a new {type}"), type);
    }

    /// <summary>Clones the mount at an open path as bind mounts are; <paramref name="recursive"/> with all below.</summary>
    public static DetachedMount Clone(SafeFd path, bool recursive, string description) =>
        new(Check.Descriptor(
            MountCalls.OpenTree(path.Value, "", OPEN_TREE_CLONE | (uint)Fcntl.AT_EMPTY_PATH | (recursive ? (uint)Fcntl.AT_RECURSIVE : 0)),
            $"clone the mount of {description}"), description);

    public void SetAttributes(MountAttr attributes, bool recursive = false) =>
        Check.Result(
            MountCalls.MountSetAttr(Descriptor.Value, "", Fcntl.AT_EMPTY_PATH | (recursive ? Fcntl.AT_RECURSIVE : 0), attributes),
            $"set mount attributes of {Description}");

    /// <summary>Attaches to an open directory or file.</summary>
    public void AttachTo(SafeFd target, string description) =>
        Check.Result(
            MountCalls.MoveMount(Descriptor.Value, "", target.Value, "", MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH),
            $"mount {Description} at {description}");

    public void Dispose() => Descriptor.Dispose();
}
