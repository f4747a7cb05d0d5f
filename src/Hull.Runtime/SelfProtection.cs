using Hull.Core;
using Hull.Linux;
using Hull.Linux.Abi;
using Hull.Linux.Mounts;
using Hull.Linux.Syscalls;

namespace Hull.Runtime;

/// <summary>
/// Keeps a container from overwriting the runtime through /proc/[pid]/exe (CVE-2019-5736): a container that executes
/// <c>#!/proc/self/exe</c> gets hold of the file its parent was executed from.
/// <para>
/// The program executes itself again through a read-only clone of the mount it lies on, made with open_tree(2) and
/// attached nowhere. The file seen through that mount cannot be opened for writing by anybody, and the clone goes away with
/// the process. A copy in a sealed memfd does the same for many times the work, and is used where the clone is refused.
/// </para>
/// </summary>
public static class SelfProtection
{
    private const string Self = "/proc/self/exe";

    /// <summary>Executes this program again where its file could be written to. Returns where it cannot.</summary>
    public static void Ensure(IReadOnlyList<string> arguments)
    {
        Check.Result(ProcessCalls.Prctl(Prctl.PR_SET_DUMPABLE, 0), $"make the runtime undumpable");
        using var self = Check.Descriptor(FileCalls.OpenAt(Fcntl.AT_FDCWD, Self, Fcntl.O_RDONLY), $"open {Self}");
        if (IsProtected(self)) return;
        using var safe = TryCloneReadOnly(self) ?? CopySealed(self);
        throw Check.Failure(ProcessCalls.ExecuteDescriptor(safe, arguments), "execute the runtime again from where it cannot be changed");
    }

    private static bool IsProtected(SafeFd self)
    {
        Check.Result(MetadataCalls.FstatFs(self.Value, out var fileSystem), $"examine {Self}");
        if ((fileSystem.f_flags & StatFs.ST_RDONLY) != 0) return true;
        return FileCalls.Fcntl(self.Value, Fcntl.F_GET_SEALS) is >= 0 and var seals && (seals & Fcntl.F_SEAL_WRITE) != 0;
    }

    private static SafeFd? TryCloneReadOnly(SafeFd self)
    {
        try
        {
            var clone = DetachedMount.Clone(self, recursive: false, Self);
            clone.SetAttributes(new MountAttr { attr_set = MountApi.MOUNT_ATTR_RDONLY, propagation = MountFlags.MS_PRIVATE });
            return clone.Descriptor;
        }
        catch (HullException)
        {
            // An ordinary user may not, nor may anybody on a kernel before 5.12.
            return null;
        }
    }

    private static SafeFd CopySealed(SafeFd self)
    {
        var copy = Check.Descriptor(FileCalls.MemfdCreate("hull-runtime"), $"create a memfd");
        var size = MetadataCalls.Stat(self).stx_size;
        for (ulong done = 0; done < size;)
        {
            var count = Check.Result(FileCalls.SendFile(copy.Value, self.Value, (long)(size - done)), $"copy {Self}");
            if (count == 0) break;
            done += (ulong)count;
        }

        Check.Result(
            FileCalls.Fcntl(copy.Value, Fcntl.F_ADD_SEALS, Fcntl.F_SEAL_SEAL | Fcntl.F_SEAL_SHRINK | Fcntl.F_SEAL_GROW | Fcntl.F_SEAL_WRITE),
            $"seal the copy of {Self}");
        return copy;
    }
}
