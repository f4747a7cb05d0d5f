using Hull.Core;
using Hull.Linux.Abi;
using Hull.Linux.Syscalls;
using static Hull.Linux.Abi.Fcntl;

namespace Hull.Linux.Files;

/// <content>Owner, mode, times and extended attributes, always of the last component itself.</content>
public sealed partial class RootDirectory
{
    private const int MaxAttributeSize = 65536;

    /// <summary>Changes the owner; of a link, the link's own.</summary>
    public void SetOwner(string path, uint user, uint group)
    {
        using var parent = OpenParent(path, out var name);
        Check.Result(MetadataCalls.FchownAt(parent.Value, name, user, group, AT_SYMLINK_NOFOLLOW), $"change the owner of {Describe(path)}");
    }

    /// <summary>Changes the mode (07777); a symbolic link has none and is refused.</summary>
    public void SetMode(string path, uint mode)
    {
        using var handle = OpenPath(path, follow: false);
        DescriptorMetadata.SetMode(handle, mode, Describe(path));
    }

    public void SetTimes(string path, TimeSpec accessed, TimeSpec modified)
    {
        using var parent = OpenParent(path, out var name);
        Check.Result(MetadataCalls.UtimensAt(parent.Value, name, accessed, modified, AT_SYMLINK_NOFOLLOW),
            $"change the times of {Describe(path)}");
    }

    /// <summary>The value of an extended attribute, null where there is none.</summary>
    public byte[]? GetExtendedAttribute(string path, string attribute)
    {
        using var handle = OpenPath(path, follow: false);
        var buffer = new byte[MaxAttributeSize];
        var length = MetadataCalls.GetXattr(DescriptorMetadata.ProcPath(handle), attribute, buffer);
        if (length == -(nint)Errno.ENODATA || length == -(nint)Errno.EOPNOTSUPP) return null;
        Check.Result(length, $"read attribute {attribute} of {Describe(path)}");
        return buffer[..(int)length];
    }

    public void SetExtendedAttribute(string path, string attribute, ReadOnlySpan<byte> value)
    {
        using var handle = OpenPath(path, follow: false);
        Check.Result(MetadataCalls.SetXattr(DescriptorMetadata.ProcPath(handle), attribute, value),
            $"set attribute {attribute} of {Describe(path)}");
    }

    public void RemoveExtendedAttribute(string path, string attribute)
    {
        using var handle = OpenPath(path, follow: false);
        Check.Result(MetadataCalls.RemoveXattr(DescriptorMetadata.ProcPath(handle), attribute),
            $"remove attribute {attribute} of {Describe(path)}");
    }

    /// <summary>The names of the extended attributes; none on file systems without.</summary>
    public List<string> ListExtendedAttributes(string path)
    {
        using var handle = OpenPath(path, follow: false);
        // Nearly every file has few or none, and archives ask of each.
        Span<byte> buffer = stackalloc byte[1024];
        var length = MetadataCalls.ListXattr(DescriptorMetadata.ProcPath(handle), buffer);
        if (length == -(nint)Errno.ERANGE) length = MetadataCalls.ListXattr(DescriptorMetadata.ProcPath(handle), buffer = new byte[MaxAttributeSize]);
        if (length == -(nint)Errno.EOPNOTSUPP) return [];
        Check.Result(length, $"list the attributes of {Describe(path)}");
        var names = new List<string>();
        for (var rest = buffer[..(int)length]; !rest.IsEmpty;)
        {
            var end = rest.IndexOf((byte)0);
            names.Add(NativeText.Decode(rest[..end]));
            rest = rest[(end + 1)..];
        }

        return names;
    }
}
