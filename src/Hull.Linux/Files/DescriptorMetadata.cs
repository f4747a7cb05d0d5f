using Hull.Core;
using Hull.Linux.Abi;
using Hull.Linux.Syscalls;
using static Hull.Linux.Abi.Fcntl;

namespace Hull.Linux.Files;

/// <summary>Metadata changes through O_PATH descriptors, for which the kernel has few calls.</summary>
public static class DescriptorMetadata
{
    /// <summary>Changes the mode of what an O_PATH descriptor refers to.</summary>
    public static void SetMode(SafeFd handle, uint mode, string description)
    {
        var result = MetadataCalls.FchmodAt2(handle.Value, "", mode, AT_EMPTY_PATH);
        if (result == -(nint)Errno.ENOSYS || result == -(nint)Errno.EINVAL)
        {
            // Before Linux 6.6. chmod follows links, so the descriptor itself must not be one.
            if (handle.Stat().IsSymbolicLink) throw HullException.Unsupported($"{description} is a symbolic link, which has no mode");
            result = MetadataCalls.FchmodAt(AT_FDCWD, ProcPath(handle), mode);
        }

        Check.Result(result, $"change the mode of {description}");
    }

    public static void SetOwner(SafeFd handle, uint user, uint group, string description) =>
        Check.Result(MetadataCalls.FchownAt(handle.Value, "", user, group, AT_EMPTY_PATH), $"change the owner of {description}");

    /// <summary>
    /// The magic link of a descriptor in our own procfs, for calls that only take a path. The process's /proc is the
    /// host's: a container's is never mounted where this process looks.
    /// </summary>
    internal static string ProcPath(SafeFd handle)
    {
        ProcFs.EnsureGenuine();
        return $"/proc/self/fd/{handle.Value}";
    }
}
