using System.Buffers.Binary;
using System.Runtime.InteropServices;
using System.Text;
using Hull.Linux.Syscalls;
using static Hull.Linux.Abi.SyscallNumber;

namespace Hull.Linux.Virtualization;

/// <summary>What the init of a guest asks of its kernel and nobody else does.</summary>
public static unsafe class GuestCalls
{
    private const uint RNDADDENTROPY = 0x40085203;
    private const uint RNDRESEEDCRNG = 0x5207;
    private const uint BLKPG = 0x1269;
    private const int BLKPG_ADD_PARTITION = 1;
    private static readonly uint FIFREEZE = 0xC0045877;
    private static readonly uint FITHAW = 0xC0045878;
    private const int CLOCK_REALTIME = 0;
    private const int LINUX_REBOOT_MAGIC1 = unchecked((int)0xfee1dead);
    private const int LINUX_REBOOT_MAGIC2 = 672274793;
    private const uint LINUX_REBOOT_CMD_POWER_OFF = 0x4321FEDC;
    private const uint LINUX_REBOOT_CMD_RESTART = 0x01234567;

    private static bool Generic => RuntimeInformation.ProcessArchitecture == Architecture.Arm64;
    private static nint SYS_finit_module => Generic ? 273 : 313;
    private static nint SYS_clock_settime => Generic ? 112 : 227;

    /// <summary>finit_module(2); a module that is loaded already is no error.</summary>
    public static void LoadModule(SafeFd module, string name)
    {
        byte none = 0;
        // SAFETY: the parameters are one NUL byte on this stack.
        var result = Kernel.Call(SYS_finit_module, module.Value, (nint)(&none), 0);
        if (result != -(nint)Abi.Errno.EEXIST) Check.Result(result, $"load kernel module {name}");
    }

    /// <summary>
    /// Mixes bytes into the kernel's pool, counted as full entropy, and has every CPU's generator start anew from it
    /// (random(4)). Without the second step generators go on with the key they had.
    /// </summary>
    public static void Reseed(SafeFd random, ReadOnlySpan<byte> entropy)
    {
        var pool = new byte[8 + entropy.Length]; // struct rand_pool_info
        BinaryPrimitives.WriteInt32LittleEndian(pool, entropy.Length * 8);
        BinaryPrimitives.WriteInt32LittleEndian(pool.AsSpan(4), entropy.Length);
        entropy.CopyTo(pool.AsSpan(8));
        // SAFETY: the struct is pinned and carries its own length.
        fixed (byte* p = pool) Check.Result(Kernel.Call(SYS_ioctl, random.Value, (nint)RNDADDENTROPY, (nint)p), $"add entropy");
        Check.Result(Kernel.Call(SYS_ioctl, random.Value, (nint)RNDRESEEDCRNG), $"reseed the random number generator");
    }

    /// <summary>Sets the wall clock.</summary>
    public static void SetClock(long unixNanoseconds)
    {
        var time = stackalloc long[2] { unixNanoseconds / 1_000_000_000, unixNanoseconds % 1_000_000_000 };
        // SAFETY: two longs are a struct timespec on 64-bit machines.
        Check.Result(Kernel.Call(SYS_clock_settime, CLOCK_REALTIME, (nint)time), $"set the clock");
    }

    public static void SetHostName(string name)
    {
        var bytes = Encoding.UTF8.GetBytes(name);
        // SAFETY: the bytes are pinned and their length given.
        fixed (byte* p = bytes) Check.Result(Kernel.Call(SYS_sethostname, (nint)p, bytes.Length), $"set the host name {name}");
    }

    /// <summary>
    /// Makes a partition of a disk known to the kernel without a partition table (BLKPG, linux/blkpg.h): partition
    /// <paramref name="number"/> of /dev/vda appears as /dev/vda<em>number</em>.
    /// </summary>
    /// <param name="start">Bytes from the start of the disk; a multiple of 512, as is <paramref name="length"/>.</param>
    public static void AddPartition(SafeFd disk, int number, long start, long length)
    {
        var partition = new byte[152]; // struct blkpg_partition: start, length, pno, devname[64], volname[64]
        BinaryPrimitives.WriteInt64LittleEndian(partition, start);
        BinaryPrimitives.WriteInt64LittleEndian(partition.AsSpan(8), length);
        BinaryPrimitives.WriteInt32LittleEndian(partition.AsSpan(16), number);
        // SAFETY: the kernel reads both structs during the call; data points to a pinned array of the length given.
        fixed (byte* p = partition)
        {
            var argument = new BlockPageArgument { op = BLKPG_ADD_PARTITION, datalen = partition.Length, data = p };
            Check.Result(Kernel.Call(SYS_ioctl, disk.Value, (nint)BLKPG, (nint)(&argument)), $"add partition {number}");
        }
    }

    /// <summary>Flushes a file system and blocks writes to it until <see cref="Thaw"/>.</summary>
    public static void Freeze(SafeFd directory, string name) =>
        Check.Result(Kernel.Call(SYS_ioctl, directory.Value, (nint)FIFREEZE), $"freeze the file system at {name}");

    public static void Thaw(SafeFd directory, string name) =>
        Check.Result(Kernel.Call(SYS_ioctl, directory.Value, (nint)FITHAW), $"thaw the file system at {name}");

    public static void Sync() => Kernel.Call(SYS_sync);

    /// <summary>Powers the machine off, at once: sync first.</summary>
    public static void PowerOff() => Reboot(LINUX_REBOOT_CMD_POWER_OFF);

    public static void Restart() => Reboot(LINUX_REBOOT_CMD_RESTART);

    public static string KernelRelease()
    {
        var names = new byte[6 * 65]; // struct utsname
        // SAFETY: the kernel fills six fields of 65 bytes.
        fixed (byte* p = names) Check.Result(Kernel.Call(SYS_uname, (nint)p), $"ask the kernel for its name");
        var release = names.AsSpan(2 * 65, 65);
        return Encoding.ASCII.GetString(release[..release.IndexOf((byte)0)]);
    }

    /// <summary>Replaces this program.</summary>
    public static void Execute(string program, IReadOnlyList<string> arguments, IReadOnlyList<string> environment)
    {
        using var arena = new NativeStrings();
        // SAFETY: path and arrays are NUL-terminated memory of the arena, which outlives the call.
        Check.Result(Kernel.Call(SYS_execve, (nint)arena.Add(program), (nint)arena.AddArray([program, .. arguments]),
            (nint)arena.AddArray(environment)), $"execute {program}");
    }

    public static void ChangeRoot(string path)
    {
        using var arena = new NativeStrings();
        // SAFETY: the path is NUL-terminated memory of the arena.
        Check.Result(Kernel.Call(SYS_chroot, (nint)arena.Add(path)), $"change the root to {path}");
    }

    private static void Reboot(uint command) =>
        Kernel.Call(SYS_reboot, LINUX_REBOOT_MAGIC1, LINUX_REBOOT_MAGIC2, (nint)command, 0);

    private struct BlockPageArgument
    {
        public int op;
        public int flags;
        public int datalen;
        public byte* data;
    }
}
