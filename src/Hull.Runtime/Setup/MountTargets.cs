using Hull.Linux.Abi;
using Hull.Linux.Children;
using Hull.Linux.Files;
using static Hull.Linux.Abi.Fcntl;
using static Hull.Linux.Abi.Resolve;

namespace Hull.Runtime.Setup;

/// <summary>
/// Finds or makes the places mounts go to. The container's image decides what is at these paths, so each is resolved by
/// the kernel inside the root (CVE-2021-30465) to a descriptor, and the mount goes to the descriptor.
/// </summary>
internal static class MountTargets
{
    private const ulong InRoot = RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS;
    private const ulong Strict = RESOLVE_IN_ROOT | RESOLVE_NO_SYMLINKS;
    private const ulong OneStep = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS;

    /// <summary>
    /// Leaves a descriptor of <paramref name="path"/> in the context's target slot, making what is missing.
    /// <paramref name="strict"/> refuses symbolic links on the way, for /proc, /sys and /dev, whose mounts must be where
    /// later steps expect them (CVE-2019-19921, CVE-2023-27561).
    /// </summary>
    internal static void Ensure(SetupContext context, string path, bool directory, bool strict = false)
    {
        var program = context.Program;
        var done = new Label();
        var missing = new Label();
        var relative = path.TrimStart('/');
        if (relative.Length == 0) relative = ".";
        var resolve = strict ? Strict : InRoot;
        program.OpenAt2(context.Target, context.Root, relative, O_PATH | (directory ? O_DIRECTORY : 0), resolve, path)
            .OnSuccess(done).OnFailure(missing, Errno.ENOENT);
        program.Mark(missing);
        MakeParents(context, PathName.Split(relative), resolve, path, directory);
        program.Mark(done);
    }

    /// <summary>Resolves a path that may be missing: <paramref name="absent"/> is where to go on then.</summary>
    internal static void Find(SetupContext context, string path, Label absent) =>
        context.Program.OpenAt2(context.Target, context.Root, path.TrimStart('/') is { Length: > 0 } relative ? relative : ".", O_PATH, InRoot, path)
            .OnFailure(absent, Errno.ENOENT, Errno.ENOTDIR, Errno.EACCES, Errno.ELOOP);

    private static void MakeParents(SetupContext context, List<string> parts, ulong resolve, string path, bool directory)
    {
        var program = context.Program;
        program.OpenAt2(context.Scratch, context.Root, ".", O_PATH | O_DIRECTORY, InRoot, path);
        for (var i = 0; i < parts.Count; i++)
        {
            var (exists, missing) = (new Label(), new Label());
            var isLast = i == parts.Count - 1;
            if (!isLast)
            {
                program.OpenAt2(context.Target, context.Root, string.Join('/', parts[..(i + 1)]), O_PATH | O_DIRECTORY, resolve, path)
                    .OnSuccess(exists).OnFailure(missing, Errno.ENOENT);
                program.Mark(missing);
            }

            if (isLast && !directory)
            {
                program.Call("create", path, SyscallNumber.SYS_openat, context.Scratch, program.Text(parts[i]),
                    O_WRONLY | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0x1A4u, result: context.Target);
                program.Close(context.Target);
            }
            else
            {
                program.MkdirAt(context.Scratch, parts[i], 0x1ED).Ignore(Errno.EEXIST);
            }

            // What is there now must be what was made, not a link somebody was quicker to put there.
            program.OpenAt2(context.Target, context.Scratch, parts[i], O_PATH | O_NOFOLLOW | (isLast && !directory ? 0 : O_DIRECTORY), OneStep, path);
            program.Mark(exists);
            program.Close(context.Scratch);
            if (!isLast) program.Set(context.Scratch, context.Target);
        }
    }
}
