using Hull.Linux;
using Hull.Linux.Abi;
using Hull.Linux.Children;
using Hull.Linux.Files;
using Hull.Linux.Mounts;
using static Hull.Linux.Abi.Fcntl;
using static Hull.Linux.Abi.MountApi;

namespace Hull.Runtime.Setup;

/// <summary>
/// Clones mounts of the host for the container: in the parent, where host paths mean what the caller meant, or, where only
/// the container's user namespace gives the right to, in the child before it leaves the host's file tree.
/// </summary>
internal static class MountCloner
{
    /// <summary>
    /// The clone of what is at <paramref name="path"/> with attributes applied one after the other. A clone made in the child is
    /// in <paramref name="slot"/> until that is used again.
    /// </summary>
    /// <param name="number">The number of the mount (statx(2), stx_mnt_id), or 0 for one that the child makes.</param>
    internal static Argument Clone(SetupContext context, SafeFd handle, string path, bool recursive, Slot slot, out ulong number,
        params ReadOnlySpan<(MountAttr Attributes, bool Recursive)> changes)
    {
        if (!context.Rootless)
        {
            var clone = context.Own(DetachedMount.Clone(handle, recursive, path));
            foreach (var (attributes, all) in changes) clone.SetAttributes(attributes, all);
            number = clone.Descriptor.Stat().MountId;
            return context.Program.Inherit(clone.Descriptor);
        }

        number = 0;
        return CloneInChild(context, path, recursive, slot, changes);
    }

    /// <summary>The same for what is not there before the child runs.</summary>
    internal static Argument CloneInChild(SetupContext context, string path, bool recursive, Slot slot,
        params ReadOnlySpan<(MountAttr Attributes, bool Recursive)> changes)
    {
        var program = context.Program;
        program.OpenAt(context.Scratch, AT_FDCWD, path, O_PATH);
        program.OpenTree(slot, context.Scratch, "", OPEN_TREE_CLONE | (uint)AT_EMPTY_PATH | (recursive ? (uint)AT_RECURSIVE : 0), path);
        program.Close(context.Scratch);
        foreach (var (attributes, all) in changes)
        {
            if ((attributes.attr_set | attributes.attr_clr | attributes.propagation) != 0) program.MountSetAttr(slot, attributes, all, path);
        }

        return slot;
    }
}
