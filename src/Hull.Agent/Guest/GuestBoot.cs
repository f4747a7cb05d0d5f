using Hull.Core;
using Hull.Linux;
using Hull.Linux.Abi;
using Hull.Linux.Syscalls;
using Hull.Linux.Virtualization;

namespace Hull.Agent.Guest;

/// <summary>
/// The first steps of the guest's init: the kernel's own file systems, a root that containers can pivot away from,
/// and the modules of the initramfs.
/// </summary>
internal static class GuestBoot
{
    /// <summary>Set when the program runs from the second root.</summary>
    private const string SecondStage = "HULL_AGENT_STAGE=2";

    private const ulong Plain = MountFlags.MS_NOSUID | MountFlags.MS_NODEV | MountFlags.MS_NOEXEC;

    /// <summary>For the containers' cgroups, which are below <c>/hull</c>.</summary>
    private static ReadOnlySpan<byte> Controllers => "+cpu +memory +pids +io +cpuset"u8;

    public static bool IsSecondStage => Environment.GetEnvironmentVariable("HULL_AGENT_STAGE") == "2";

    /// <summary>
    /// Moves everything from the initramfs to a tmpfs and runs this program again from there: pivot_root(2) refuses to
    /// leave the initramfs, so no container could be made above it. Does not return.
    /// </summary>
    public static void EnterSecondStage()
    {
        Mount("tmpfs", "/newroot", "tmpfs", 0, "mode=755");
        CopyTree("/", "/newroot");
        Directory.SetCurrentDirectory("/newroot");
        Check.Result(MountCalls.Mount(".", "/", null, MountFlags.MS_MOVE, null), $"move the root");
        GuestCalls.ChangeRoot(".");
        GuestCalls.Execute("/init", [], [SecondStage, "PATH=/bin", "HOME=/"]);
    }

    public static void MountKernelFileSystems()
    {
        Mount("proc", "/proc", "proc", Plain, null);
        Mount("sysfs", "/sys", "sysfs", Plain, null);
        Mount("devtmpfs", "/dev", "devtmpfs", MountFlags.MS_NOSUID, "mode=755");
        Mount("devpts", "/dev/pts", "devpts", MountFlags.MS_NOSUID | MountFlags.MS_NOEXEC, "mode=620,ptmxmode=666");
        Mount("tmpfs", "/dev/shm", "tmpfs", MountFlags.MS_NOSUID | MountFlags.MS_NODEV, "mode=1777");
        Mount("tmpfs", "/run", "tmpfs", MountFlags.MS_NOSUID | MountFlags.MS_NODEV, "mode=755");
        Mount("tmpfs", "/tmp", "tmpfs", MountFlags.MS_NOSUID | MountFlags.MS_NODEV, "mode=1777");
        Mount("cgroup2", "/sys/fs/cgroup", "cgroup2", Plain, "nsdelegate");
        WriteControl("/sys/fs/cgroup/cgroup.subtree_control", Controllers);
        Directory.CreateDirectory("/sys/fs/cgroup/hull");
        WriteControl("/sys/fs/cgroup/hull/cgroup.subtree_control", Controllers);
    }

    /// <summary>Loads the modules the initramfs lists, in the order of the list.</summary>
    public static void LoadModules()
    {
        const string list = "/modules/order";
        if (!File.Exists(list)) return;
        foreach (var name in File.ReadAllLines(list))
        {
            using var module = Check.Descriptor(
                FileCalls.OpenAt(Fcntl.AT_FDCWD, $"/modules/{name}.ko", Fcntl.O_RDONLY), $"open kernel module {name}");
            GuestCalls.LoadModule(module, name);
        }

        Directory.Delete("/modules", recursive: true);
    }

    public static void Mount(string source, string target, string type, ulong flags, string? data)
    {
        Directory.CreateDirectory(target);
        Check.Result(MountCalls.Mount(source, target, type, flags, data), $"mount {type} at {target}");
    }

    private static void WriteControl(string path, ReadOnlySpan<byte> value)
    {
        using var file = Check.Descriptor(FileCalls.OpenAt(Fcntl.AT_FDCWD, path, Fcntl.O_WRONLY), $"open {path}");
        Check.Result(FileCalls.Write(file.Value, value), $"write {path}");
    }

    private static void CopyTree(string from, string to)
    {
        foreach (var entry in new DirectoryInfo(from).EnumerateFileSystemInfos())
        {
            // The new root itself, and what the kernel made before init ran.
            if (entry.FullName is "/newroot" or "/dev" or "/root") continue;
            var target = Path.Combine(to, entry.Name);
            if (entry.LinkTarget is { } link)
            {
                File.CreateSymbolicLink(target, link);
            }
            else if (entry is DirectoryInfo)
            {
                Directory.CreateDirectory(target);
                CopyTree(entry.FullName, target);
                continue;
            }
            else
            {
                File.Copy(entry.FullName, target);
            }

            // The initramfs is memory: what was copied is given back.
            entry.Delete();
        }
    }
}
