using Hull.Core;
using Hull.Linux;
using Hull.Linux.Abi;
using Hull.Linux.Mounts;
using Hull.Linux.Processes;
using Hull.Linux.Syscalls;

namespace Hull.Engine.Volumes;

/// <summary>Makes volumes' file systems available at their directories and puts them away. See mount(2), loop(4).</summary>
internal static class VolumeMounts
{
    private const int UMOUNT_NOFOLLOW = 8;
    private const long SmallestDisk = 8L << 20;

    /// <summary>Makes the sparse file with a file system in it, with all of it for the volume's content.</summary>
    public static void MakeDisk(string path, long size)
    {
        if (size < SmallestDisk) throw HullException.Invalid($"a volume of {size} bytes is too small: at least 8m");
        using (var file = new FileStream(path, FileMode.CreateNew, FileAccess.Write)) file.SetLength(size);
        try
        {
            Run("mke2fs", ["-q", "-F", "-t", "ext4", "-m", "0", "-E", "lazy_itable_init=1,lazy_journal_init=1,root_owner=0:0", path], "e2fsprogs");
        }
        catch
        {
            File.Delete(path);
            throw;
        }
    }

    public static void Mount(VolumeOptions options, string disk, string directory)
    {
        if (options.HasDisk)
        {
            using (var loop = LoopDevice.Attach(disk, writable: true))
                Check.Result(MountCalls.Mount(loop.Path, directory, "ext4", MountFlags.MS_NOSUID | MountFlags.MS_NODEV, null), $"mount {disk} as a volume");
            // Made by mke2fs; a volume begins empty.
            if (Directory.Exists(Path.Combine(directory, "lost+found"))) Directory.Delete(Path.Combine(directory, "lost+found"));
            return;
        }

        var bind = (options.Flags & MountFlags.MS_BIND) != 0;
        if (bind && !Directory.Exists(options.Device)) throw HullException.Invalid($"cannot mount the volume: {options.Device} is not a directory");
        Check.Result(MountCalls.Mount(options.Device ?? options.Type, directory, bind ? null : options.Type, bind ? options.Flags & (MountFlags.MS_BIND | MountFlags.MS_REC) : options.Flags, options.Data),
            $"mount {options.Type} {options.Device} as a volume");
        // The kernel takes a bind's other flags in a second step only.
        if (bind && (options.Flags & ~(MountFlags.MS_BIND | MountFlags.MS_REC)) != 0)
            Check.Result(MountCalls.Mount(null, directory, null, options.Flags | MountFlags.MS_REMOUNT, null), $"set the options of volume {options.Device}");
    }

    public static void Unmount(string directory) =>
        Check.Result(MountCalls.Umount(directory, UMOUNT_NOFOLLOW), $"unmount {directory}");

    public static bool IsMounted(string directory) => MountInfo.ReadSelf().Any(m => m.Target == directory);

    private static void Run(string program, IReadOnlyList<string> arguments, string package)
    {
        ProcessResult result;
        try
        {
            result = ChildProcess.Run(new ChildProcessOptions(program, arguments), timeout: TimeSpan.FromMinutes(5));
        }
        catch (HullException error) when (error.Kind is ErrorKind.CommandNotFound or ErrorKind.NotFound)
        {
            throw new HullException(ErrorKind.Unsupported, $"a volume with a size needs the program {program}: install the package {package}", error);
        }

        if (!result.Status.Succeeded) throw HullException.Internal($"{program} failed: {result.ErrorText.ReplaceLineEndings(" ").Trim()}");
    }
}
