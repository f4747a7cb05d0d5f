using Hull.Linux.Abi;
using Hull.Linux.Children;
using static Hull.Linux.Abi.Fcntl;
using static Hull.Linux.Abi.MountApi;

namespace Hull.Runtime.Setup;

/// <summary>Masked and read-only paths: a mount over the descriptor of what is there. What is not there needs none.</summary>
internal static class MaskSetup
{
    internal static void Add(SetupContext context)
    {
        if (!context.HasMountNamespace) return;
        foreach (var path in context.Linux.ReadonlyPaths ?? []) AddReadOnly(context, path);
        if (context.Linux.MaskedPaths is { Count: > 0 } masked) AddMasks(context, masked);
    }

    private static void AddReadOnly(SetupContext context, string path)
    {
        var program = context.Program;
        var absent = new Label();
        MountTargets.Find(context, path, absent);
        program.OpenTree(context.Mount, context.Target, "", OPEN_TREE_CLONE | (uint)AT_EMPTY_PATH | (uint)AT_RECURSIVE, path);
        program.MountSetAttr(context.Mount, new MountAttr { attr_set = MOUNT_ATTR_RDONLY }, recursive: true, path);
        program.MoveMount(context.Mount, context.Target, path);
        program.Close(context.Mount);
        program.Close(context.Target);
        program.Mark(absent);
    }

    /// <summary>Files are covered by the null device, directories by one empty read-only tmpfs for all.</summary>
    private static void AddMasks(SetupContext context, IReadOnlyList<string> paths)
    {
        var program = context.Program;
        // The host's own, opened before the change of root and looked at: never what the image calls /dev/null.
        program.OpenAt(context.Scratch, AT_FDCWD, "/dev/null", O_PATH | O_NOFOLLOW);
        program.ExpectNode(context.Scratch, StatMode.S_IFCHR, 1, 3, "the host's /dev/null");
        program.FsOpen(context.FileSystem, "tmpfs", "tmpfs for masked paths");
        program.FsConfigString(context.FileSystem, "source", "tmpfs", "masked paths");
        program.FsConfigString(context.FileSystem, "nr_blocks", "1", "masked paths");
        program.FsConfigString(context.FileSystem, "nr_inodes", "1", "masked paths");
        program.FsConfigCreate(context.FileSystem, "masked paths");
        var empty = program.NewSlot();
        program.FsMount(empty, context.FileSystem, MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC, "masked paths");
        program.Close(context.FileSystem);
        // Only an attached mount can be cloned, so the first directory gets the original.
        var used = program.NewSlot();
        program.Set(used, 0);
        foreach (var path in paths) AddMask(context, path, empty, used);
        program.Close(empty);
        program.Close(context.Scratch);
    }

    private static void AddMask(SetupContext context, string path, Slot empty, Slot used)
    {
        var program = context.Program;
        var (absent, file, covered) = (new Label(), new Label(), new Label());
        MountTargets.Find(context, path, absent);
        // Not by trying: closing a mount that found no place makes the kernel wait for all processors.
        program.ExpectDirectory(context.Target, path).OnFailure(file);
        var again = new Label();
        program.Expect("mask", path, used, 0).OnFailure(again);
        program.MoveMount(empty, context.Target, path);
        program.Set(used, 1);
        program.Jump(covered);
        program.Mark(again);
        AttachCopy(context, empty, path);
        program.Jump(covered);
        program.Mark(file);
        AttachCopy(context, context.Scratch, path);
        program.Mark(covered);
        program.Close(context.Target);
        program.Mark(absent);
    }

    private static void AttachCopy(SetupContext context, Slot source, string path)
    {
        var program = context.Program;
        program.OpenTree(context.Mount, source, "", OPEN_TREE_CLONE | (uint)AT_EMPTY_PATH, path);
        program.MoveMount(context.Mount, context.Target, path);
        program.Close(context.Mount);
    }
}
