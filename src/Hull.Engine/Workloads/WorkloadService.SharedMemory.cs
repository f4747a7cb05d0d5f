using Hull.Core;
using Hull.Linux;
using Hull.Linux.Abi;
using Hull.Linux.Files;
using Hull.Linux.Mounts;
using Hull.Linux.Syscalls;

namespace Hull.Engine.Workloads;

/// <summary>Another workload's shared memory, mounted where a runtime finds it, for the time of a start.</summary>
internal sealed class BorrowedMemory : IDisposable
{
    private BorrowedMemory(string path) => Path = path;

    public string Path { get; }

    public static BorrowedMemory Of(int process, string path)
    {
        Directory.CreateDirectory(path);
        var borrowed = new BorrowedMemory(path);
        try
        {
            using var clone = ForeignMounts.CloneTmpfs(process, "/dev/shm");
            using var place = RootDirectory.Open(path);
            clone.AttachTo(place.Descriptor, path);
            return borrowed;
        }
        catch
        {
            borrowed.Dispose();
            throw;
        }
    }

    public void Dispose()
    {
        _ = MountCalls.Umount(Path, UmountFlags.MNT_DETACH | UmountFlags.UMOUNT_NOFOLLOW);
        if (Directory.Exists(Path)) Directory.Delete(Path);
    }

    /// <summary>What an engine that was killed in a start left.</summary>
    public static void Clear(string directory)
    {
        if (!Directory.Exists(directory)) return;
        foreach (var path in Directory.EnumerateDirectories(directory)) new BorrowedMemory(path).Dispose();
    }
}

/// <summary>Shared memory of workloads that share an ipc namespace.</summary>
internal sealed partial class WorkloadService
{
    private string SharedMemoryDirectory => Path.Combine(Options.ExecRoot, "shm");

    /// <summary>The /dev/shm that goes with the ipc namespace a workload joins; null where it joins none.</summary>
    private BorrowedMemory? BorrowMemory(WorkloadRecord record)
    {
        if (record.Isolation != "container" || record.Config.Namespaces.Ipc?.StartsWith("container:", StringComparison.Ordinal) != true) return null;
        var other = Get(record.Config.Namespaces.Ipc[10..]);
        if ((other.Record.Config.Namespaces.Ipc ?? Options.DefaultIpc) is var mode and ("private" or "none"))
            throw HullException.Conflict($"the ipc namespace of {other.Name} is {mode}: create it with --ipc shareable to join it");
        return BorrowedMemory.Of(other.RequireRunning().ProcessId, Path.Combine(SharedMemoryDirectory, record.Id));
    }
}
