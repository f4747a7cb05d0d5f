using System.Globalization;
using Hull.Linux.Abi;
using Hull.Linux.Processes;
using Hull.Linux.Syscalls;

namespace Hull.Linux.Mounts;

/// <summary>
/// An overlay by mount(2), for kernels that do not take its lower directories one by one (fsconfig's <c>lowerdir+</c> came with
/// Linux 6.8, Documentation/filesystems/overlayfs.rst, "Multiple lower layers"). Before, all of them are one option, and of one
/// fsconfig(2) takes 256 bytes, mount(2) a page: enough for 127 layers that are named by open descriptors.
/// </summary>
internal static class OneCallOverlay
{
    /// <summary>The option that names one lower directory, topmost first.</summary>
    public const string LowerDirectory = "lowerdir+";

    private const string Source = "source";

    /// <summary>The mount is made in a namespace that ends with this call, so that nobody else ever sees it.</summary>
    public static SafeFd Create(IReadOnlyList<(string Key, string? Value)> options) => OwnThread.Run("overlay", () =>
    {
        // There is one wherever this runs; the descriptors below are looked up before it is covered.
        const string place = "/proc";
        var lowers = new List<SafeFd>();
        try
        {
            Check.Result(ProcessCalls.Unshare(CloneFlags.CLONE_NEWNS), $"make a mount namespace");
            Check.Result(MountCalls.Mount(null, "/", null, MountFlags.MS_REC | MountFlags.MS_PRIVATE, null), $"keep mounts from others");
            // Only now: what is mounted in another namespace is refused (clone_private_mount in fs/namespace.c).
            foreach (var (_, path) in options.Where(option => option.Key == LowerDirectory))
                lowers.Add(Check.Descriptor(FileCalls.OpenAt(Fcntl.AT_FDCWD, path ?? "", Fcntl.O_PATH | Fcntl.O_DIRECTORY), $"open {path}"));
            var source = options.FirstOrDefault(option => option.Key == Source).Value ?? "overlay";
            Check.Result(MountCalls.Mount(source, place, "overlay", 0, DataOf(lowers, options)), $"mount an overlay of {lowers.Count} lower directories");
            using var mounted = Check.Descriptor(FileCalls.OpenAt(Fcntl.AT_FDCWD, place, Fcntl.O_PATH | Fcntl.O_DIRECTORY), $"open an overlay");
            return Check.Descriptor(MountCalls.OpenTree(mounted.Value, "", MountApi.OPEN_TREE_CLONE | (uint)Fcntl.AT_EMPTY_PATH), $"take an overlay");
        }
        finally
        {
            foreach (var lower in lowers) lower.Dispose();
        }
    });

    private static string DataOf(List<SafeFd> lowers, IEnumerable<(string Key, string? Value)> options)
    {
        var directories = string.Join(':', lowers.Select(lower => string.Create(CultureInfo.InvariantCulture, $"/proc/self/fd/{lower.Value}")));
        // "ro" is of the mount, not of the file system.
        var others = options.Where(option => option.Key is not (LowerDirectory or Source or "ro"))
            .Select(option => option.Value is null ? option.Key : $"{option.Key}={Escape(option.Value)}");
        return string.Join(',', others.Prepend("lowerdir=" + directories));
    }

    private static string Escape(string value) => value.Replace("\\", "\\\\").Replace(",", "\\,");
}
