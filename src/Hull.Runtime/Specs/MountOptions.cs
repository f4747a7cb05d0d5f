using Hull.Linux.Abi;
using static Hull.Linux.Abi.MountApi;
using static Hull.Linux.Abi.MountFlags;

namespace Hull.Runtime.Specs;

/// <summary>The options of one mount, sorted by who understands them (config.md, "Linux mount options").</summary>
public sealed class MountOptions
{
    private static readonly Dictionary<string, Action<MountOptions>> s_known = BuildTable();

    /// <summary>Attributes of the mount itself, MOUNT_ATTR_*.</summary>
    public ulong Set { get; private set; }

    public ulong Clear { get; private set; }

    /// <summary>Takes the read-only flag away; answers whether it was there.</summary>
    public bool DeferReadOnly()
    {
        const ulong ReadOnly = Hull.Linux.Abi.MountApi.MOUNT_ATTR_RDONLY;
        var had = (Set & ReadOnly) != 0;
        Set &= ~ReadOnly;
        return had;
    }

    /// <summary>Attributes for it and all mounts below.</summary>
    public ulong RecursiveSet { get; private set; }

    public ulong RecursiveClear { get; private set; }

    /// <summary>MS_SHARED, MS_SLAVE, MS_PRIVATE or MS_UNBINDABLE, or 0.</summary>
    public ulong Propagation { get; private set; }

    public bool PropagationRecursive { get; private set; }

    public bool Bind { get; private set; }

    public bool Recursive { get; private set; }

    public bool Remount { get; private set; }

    public bool TmpCopyUp { get; private set; }

    public bool IdMap { get; private set; }

    public bool IdMapRecursive { get; private set; }

    /// <summary>Options of the file system as a whole that have a flag of their own in mount(2).</summary>
    public List<string> SuperFlags { get; } = [];

    /// <summary>What only the file system understands: <c>key=value</c> or <c>key</c>.</summary>
    public List<string> Data { get; } = [];

    public static IReadOnlyCollection<string> Names => s_known.Keys;

    public static MountOptions Parse(IReadOnlyList<string>? options)
    {
        var result = new MountOptions();
        foreach (var option in options ?? [])
        {
            if (s_known.TryGetValue(option, out var apply)) apply(result);
            else if (option.Length > 0) result.Data.Add(option);
        }

        return result;
    }

    private void Add(ulong attribute, bool set, bool recursive)
    {
        // The access time is a field of several bits, of which any change first clears the whole.
        var mask = (attribute & MOUNT_ATTR__ATIME) != 0 ? MOUNT_ATTR__ATIME : attribute;
        if (recursive)
        {
            (RecursiveSet, RecursiveClear) = Change(RecursiveSet, RecursiveClear, attribute, mask, set);
        }
        else
        {
            (Set, Clear) = Change(Set, Clear, attribute, mask, set);
        }
    }

    private static (ulong Set, ulong Clear) Change(ulong set, ulong clear, ulong attribute, ulong mask, bool on) =>
        on ? ((set & ~mask) | attribute, mask == attribute ? clear & ~mask : clear | mask) : (set & ~mask, clear | mask);

    private static Dictionary<string, Action<MountOptions>> BuildTable()
    {
        var table = new Dictionary<string, Action<MountOptions>>(100);
        Attribute(table, "ro", "rw", MOUNT_ATTR_RDONLY);
        Attribute(table, "nosuid", "suid", MOUNT_ATTR_NOSUID);
        Attribute(table, "nodev", "dev", MOUNT_ATTR_NODEV);
        Attribute(table, "noexec", "exec", MOUNT_ATTR_NOEXEC);
        Attribute(table, "nodiratime", "diratime", MOUNT_ATTR_NODIRATIME);
        Attribute(table, "nosymfollow", "symfollow", MOUNT_ATTR_NOSYMFOLLOW);
        Attribute(table, "noatime", "atime", MOUNT_ATTR_NOATIME);
        Attribute(table, "strictatime", "nostrictatime", MOUNT_ATTR_STRICTATIME);
        foreach (var recursive in (bool[])[false, true])
        {
            var prefix = recursive ? "r" : "";
            // Relative access times are the kernel's default: the value 0 of the field.
            table[prefix + "relatime"] = options => options.Add(MOUNT_ATTR__ATIME, false, recursive);
            table[prefix + "norelatime"] = options => options.Add(MOUNT_ATTR_STRICTATIME, true, recursive);
        }

        foreach (var (on, off) in ((string, string)[])[("sync", "async"), ("dirsync", ""), ("mand", "nomand"), ("lazytime", "nolazytime"), ("iversion", "noiversion")])
        {
            table[on] = options => options.SuperFlags.Add(on);
            if (off != "") table[off] = options => options.SuperFlags.Remove(on);
        }

        foreach (var (name, flag) in ((string, ulong)[])[("private", MS_PRIVATE), ("shared", MS_SHARED), ("slave", MS_SLAVE), ("unbindable", MS_UNBINDABLE)])
        {
            table[name] = options => (options.Propagation, options.PropagationRecursive) = (flag, false);
            table["r" + name] = options => (options.Propagation, options.PropagationRecursive) = (flag, true);
        }

        foreach (var name in (string[])["defaults", "silent", "loud"]) table[name] = _ => { };
        table["bind"] = options => options.Bind = true;
        table["rbind"] = options => options.Bind = options.Recursive = true;
        table["remount"] = options => options.Remount = true;
        table["tmpcopyup"] = options => options.TmpCopyUp = true;
        table["idmap"] = options => options.IdMap = true;
        table["ridmap"] = options => options.IdMap = options.IdMapRecursive = true;
        return table;
    }

    private static void Attribute(Dictionary<string, Action<MountOptions>> table, string on, string off, ulong attribute)
    {
        table[on] = options => options.Add(attribute, true, false);
        table[off] = options => options.Add(attribute, false, false);
        table["r" + on] = options => options.Add(attribute, true, true);
        table["r" + off] = options => options.Add(attribute, false, true);
    }
}
