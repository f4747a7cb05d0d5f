using Hull.Agent.Protocol;
using Hull.Core;
using Hull.Linux;
using Hull.Linux.Abi;
using Hull.Linux.Syscalls;
using Hull.Linux.Virtualization;

namespace Hull.Agent.Guest;

/// <summary>
/// Puts the root of a container together: one erofs per layer, found on one disk by offset and made into partitions
/// without a partition table, and an overlay over them that writes to an ext4 disk or to memory. A single layer is the disk.
/// </summary>
internal sealed class RootAssembly
{
    /// <summary>
    /// Tables of inodes that were never used need no zeros: the file behind the disk would grow by them, in the background.
    /// </summary>
    private const string WritableOptions = "noinit_itable";

    /// <summary>Emulated machines on busy hosts are slow.</summary>
    private const int DeviceMilliseconds = 20_000;

    private const string PreparedDirectory = "/run/writable";

    private const int DetachMount = 2; // MNT_DETACH

    /// <summary>What is mounted for the root of each directory, in the order it was.</summary>
    private readonly Dictionary<string, List<string>> _mounts = [];

    /// <summary>The writable disk of each.</summary>
    private readonly Dictionary<string, SafeFd> _writables = [];

    private readonly Dictionary<string, string> _disks = [];
    private readonly Dictionary<string, int> _partitions = [];

    /// <summary>Layers that were mounted so far.</summary>
    private int _layers;

    /// <summary>Serial number of the disk that is mounted read-only ahead of its use; null once it was used.</summary>
    private string? _prepared;

    /// <summary>
    /// Mounts the writable disk of a template, read-only. A clone with a copy of that disk only makes it writable, which is
    /// a fraction of mounting it; one with another disk unmounts it, which writes nothing to it.
    /// </summary>
    public void Prepare(string writableDisk)
    {
        Directory.CreateDirectory(PreparedDirectory);
        Check.Result(MountCalls.Mount(FindDisk(writableDisk), PreparedDirectory, "ext4", MountFlags.MS_RDONLY, WritableOptions),
            $"mount the template's writable disk");
        _prepared = writableDisk;
    }

    /// <summary>Mounts the root under <paramref name="directory"/> and answers its path.</summary>
    public string Mount(RootLayout layout, string directory)
    {
        var lowers = new List<string>();
        var mounts = _mounts[directory] = [];
        foreach (var extent in layout.Layers)
        {
            // What follows the file system on the disk is none of its concern.
            var device = layout.Layers is [{ Offset: 0 }] && !_partitions.ContainsKey(layout.LayersDisk)
                ? FindDisk(layout.LayersDisk) : AddPartition(layout.LayersDisk, extent);
            // Short, because all of them together are one option of a mount, of a page at most.
            var target = $"/run/layers/{_layers++}";
            Directory.CreateDirectory(target);
            Check.Result(MountCalls.Mount(device, target, "erofs", MountFlags.MS_RDONLY, null), $"mount layer {lowers.Count}");
            lowers.Add(target);
            mounts.Add(target);
        }

        var writable = MountWritable(layout, directory);
        if (layout.WritableDisk.Length > 0)
            _writables[directory] = Check.Descriptor(FileCalls.OpenAt(Fcntl.AT_FDCWD, writable, Fcntl.O_RDONLY | Fcntl.O_DIRECTORY), $"open {writable}");
        mounts.Add(writable);

        var (upper, work, root) = ($"{writable}/upper", $"{writable}/work", $"{directory}/rootfs");
        foreach (var path in (string[])[upper, work, root]) Directory.CreateDirectory(path);
        mounts.Add(root);
        lowers.Reverse();
        if (lowers.Count == 0)
        {
            Check.Result(MountCalls.Mount(upper, root, null, MountFlags.MS_BIND, null), $"bind the root");
            return root;
        }

        // By mount(2): of an option that is set on its own, fsconfig(2) takes 256 bytes, and before Linux 6.5 all layers are one.
        Check.Result(MountCalls.Mount("hull", root, "overlay", 0, $"lowerdir={string.Join(':', lowers)},upperdir={upper},workdir={work}"),
            $"mount an overlay of {lowers.Count} layers");
        return root;
    }

    /// <summary>Where the root of a container is put together.</summary>
    public static string DirectoryOf(string container) => "/run/containers/" + container;

    /// <summary>Has what a container has written reach its disk, and all other disks where it has more than its root's.</summary>
    public void Sync(CreateContainerRequest container)
    {
        if (container.Volumes.Count > 0) GuestCalls.Sync();
        else if (_writables.TryGetValue(DirectoryOf(container.Id), out var writable))
            Check.Result(FileCalls.SyncFs(writable.Value), $"write what container {container.Id} has written");
    }

    /// <summary>Takes a root apart that nothing uses any more, so that its disks can be exchanged.</summary>
    public void Unmount(string directory)
    {
        if (!_mounts.Remove(directory, out var mounts)) return;
        if (_writables.Remove(directory, out var disk)) disk.Dispose();
        for (var index = mounts.Count - 1; index >= 0; index--)
        {
            // What a process outside still uses goes when it ends.
            if (MountCalls.Umount(mounts[index], 0) == -(nint)Errno.EBUSY) _ = MountCalls.Umount(mounts[index], DetachMount);
        }
    }

    /// <summary>Mounts a disk, or files of the host by their tag. Their device was plugged in a moment ago and may not be found yet.</summary>
    public void MountVolume(VolumeMount volume)
    {
        Directory.CreateDirectory(volume.Target);
        var isShare = volume.FileSystem == "virtiofs";
        var flags = volume.ReadOnly ? MountFlags.MS_RDONLY : 0;
        var deadline = Environment.TickCount64 + DeviceMilliseconds;
        while (true)
        {
            var result = MountCalls.Mount(isShare ? volume.Disk : FindDisk(volume.Disk), volume.Target, volume.FileSystem, flags, null);
            // virtio-fs answers so for a tag it does not know (fs/fuse/virtio_fs.c).
            if (isShare && result == -(nint)Errno.EINVAL && Environment.TickCount64 < deadline)
            {
                Thread.Sleep(2);
                continue;
            }

            Check.Result(result, $"mount {volume.FileSystem} {volume.Disk}");
            return;
        }
    }

    private string MountWritable(RootLayout layout, string directory)
    {
        var isMounted = layout.WritableDisk.Length > 0 && layout.WritableDisk == _prepared;
        if (isMounted) _prepared = null;
        if (isMounted && layout.IsPrepared)
        {
            Check.Result(MountCalls.Mount(null, PreparedDirectory, null, MountFlags.MS_REMOUNT, WritableOptions), $"make the writable disk writable");
            return PreparedDirectory;
        }

        if (isMounted) Check.Result(MountCalls.Umount(PreparedDirectory, 0), $"unmount the template's writable disk");
        var writable = $"{directory}/writable";
        Directory.CreateDirectory(writable);
        if (layout.WritableDisk.Length > 0)
            Check.Result(MountCalls.Mount(FindDisk(layout.WritableDisk), writable, "ext4", 0, WritableOptions), $"mount the writable disk");
        else
            Check.Result(MountCalls.Mount("tmpfs", writable, "tmpfs", 0, "mode=755"), $"mount a writable tmpfs");
        return writable;
    }

    /// <summary>Device of the disk with that serial number. Clones have the disks of their template, with other media.</summary>
    public string FindDisk(string serial)
    {
        if (!_disks.ContainsKey(serial)) FindDisks();
        return _disks.TryGetValue(serial, out var known) ? known : throw HullException.NotFound($"this machine has no disk '{serial}'");
    }

    private void FindDisks()
    {
        foreach (var directory in Directory.GetDirectories("/sys/block"))
        {
            var file = Path.Combine(directory, "serial");
            if (File.Exists(file)) _disks[File.ReadAllText(file).Trim()] = "/dev/" + Path.GetFileName(directory);
        }
    }

    private string AddPartition(string serial, DiskExtent extent)
    {
        var disk = FindDisk(serial);
        var number = _partitions[serial] = _partitions.GetValueOrDefault(serial) + 1;
        using var descriptor = Check.Descriptor(FileCalls.OpenAt(Fcntl.AT_FDCWD, disk, Fcntl.O_RDONLY), $"open {disk}");
        GuestCalls.AddPartition(descriptor, number, extent.Offset, extent.Length);
        return disk + number;
    }
}
