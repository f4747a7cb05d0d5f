using System.Runtime.CompilerServices;
using Hull.Core;
using Hull.Linux.Abi;
using Hull.Linux.Syscalls;

namespace Hull.Linux.Mounts;

/// <summary>
/// A loop device over a file; see loop(4). It is set up to go away with its last user, so once a file system on it
/// is mounted this object can be disposed, and nothing is left when the mount goes.
/// </summary>
public sealed class LoopDevice : IDisposable
{
    private const int Attempts = 64;

    /// <summary>LOOP_MAJOR of linux/major.h.</summary>
    private const uint Major = 7;

    private readonly SafeFd _device;

    private LoopDevice(SafeFd device, string path) => (_device, Path) = (device, path);

    /// <summary>The device node, such as <c>/dev/loop3</c>.</summary>
    public string Path { get; }

    /// <summary>Attaches <paramref name="file"/> to a free device.</summary>
    public static LoopDevice Attach(string file, bool writable = false)
    {
        var access = writable ? Fcntl.O_RDWR : Fcntl.O_RDONLY;
        using var backing = Check.Descriptor(FileCalls.OpenAt(Fcntl.AT_FDCWD, file, access), $"open {file}");
        using var control = Check.Descriptor(FileCalls.OpenAt(Fcntl.AT_FDCWD, "/dev/loop-control", Fcntl.O_RDWR), $"open /dev/loop-control");
        for (var attempt = 0; attempt < Attempts; attempt++)
        {
            var number = (uint)Check.Result(ProcessCalls.Ioctl(control.Value, LoopAbi.LOOP_CTL_GET_FREE), $"find a free loop device");
            var path = $"/dev/loop{number}";
            var device = Open(path, number, access);
            var flags = LoopAbi.LO_FLAGS_AUTOCLEAR | (writable ? 0 : LoopAbi.LO_FLAGS_READ_ONLY);
            var config = new LoopConfig { fd = (uint)backing.Value, lo_flags = flags };
            var result = ProcessCalls.Ioctl(device.Value, LoopAbi.LOOP_CONFIGURE, ref config);
            if (result >= 0) return new LoopDevice(device, path);
            device.Dispose();
            // Another process took it between the two calls.
            if (result != -(nint)Errno.EBUSY) Check.Result(result, $"attach {file} to {path}");
        }

        throw new HullException(ErrorKind.ResourceExhausted, $"no free loop device for {file}");
    }

    /// <summary>A /dev that is no devtmpfs, as in a container, has no nodes of devices that were made later.</summary>
    private static SafeFd Open(string path, uint number, int access)
    {
        var result = FileCalls.OpenAt(Fcntl.AT_FDCWD, path, access);
        if (result == -(nint)Errno.ENOENT)
        {
            var made = FileCalls.MknodAt(Fcntl.AT_FDCWD, path, StatMode.S_IFBLK | 0x180 /* 0600 */, Major, number);
            if (made != -(nint)Errno.EEXIST) Check.Result(made, $"make the node {path} of the free loop device");
            result = FileCalls.OpenAt(Fcntl.AT_FDCWD, path, access);
        }

        return Check.Descriptor(result, $"open {path}");
    }

    public void Dispose() => _device.Dispose();
}
