using System.Text;
using Hull.Core;
using Microsoft.Win32.SafeHandles;

namespace Hull.Linux.Netlink;

/// <summary>
/// Tap devices (Documentation/networking/tuntap.rst). They are made in the network namespace of the calling thread;
/// rtnetlink cannot make them. A persistent one outlives its descriptors, so that a monitor may come and go.
/// </summary>
public static class TapDevice
{
    private const ushort IFF_TAP = 2;
    private const ushort IFF_NO_PI = 0x1000;
    private const ushort IFF_VNET_HDR = 0x4000;

    /// <summary>Makes a persistent tap. Delete it like any link.</summary>
    public static void Create(string name)
    {
        using var handle = Open(name);
        if (NetlinkNative.ioctl_value(handle, NetlinkNative.TUNSETPERSIST, 1) < 0) throw NetlinkError.Last($"keep tap {name}");
    }

    /// <summary>A tap that leads nowhere: in a network namespace that nothing else is in, and that goes with it.</summary>
    public static SafeFd OpenAlone() => Processes.OwnThread.Run("tap", static () =>
    {
        Check.Result(Syscalls.ProcessCalls.Unshare(Abi.CloneFlags.CLONE_NEWNET), $"leave the network");
        return SafeFd.Take(Open("alone"));
    });

    /// <summary>Sets the length of the virtio header before each frame, which a network device agrees on with its driver.</summary>
    public static void SetHeaderLength(SafeFd tap, int bytes)
    {
        using var handle = new SafeFileHandle(tap.Value, ownsHandle: false);
        Span<byte> value = stackalloc byte[sizeof(int)];
        System.Buffers.Binary.BinaryPrimitives.WriteInt32LittleEndian(value, bytes);
        if (NetlinkNative.ioctl(handle, NetlinkNative.TUNSETVNETHDRSZ, ref value[0]) < 0) throw NetlinkError.Last($"set the header of a tap");
    }

    /// <summary>Opens the queue of a tap (making it where it is missing), with virtio headers as QEMU's <c>vnet_hdr=on</c> expects.</summary>
    public static SafeFileHandle Open(string name)
    {
        if (Encoding.ASCII.GetByteCount(name) is 0 or > 15) throw HullException.Invalid($"invalid interface name '{name}': 1 to 15 characters");
        var descriptor = NetlinkNative.open("/dev/net/tun", NetlinkNative.O_RDWR | NetlinkNative.O_CLOEXEC, 0);
        if (descriptor < 0) throw NetlinkError.Last("open /dev/net/tun");
        var handle = NetlinkNative.Own(descriptor);
        Span<byte> request = stackalloc byte[40]; // struct ifreq
        request.Clear();
        Encoding.ASCII.GetBytes(name, request);
        const ushort flags = IFF_TAP | IFF_NO_PI | IFF_VNET_HDR;
        (request[16], request[17]) = (flags & 0xff, flags >> 8);
        if (NetlinkNative.ioctl(handle, NetlinkNative.TUNSETIFF, ref request[0]) == 0) return handle;
        var error = NetlinkError.Last($"open tap {name}");
        handle.Dispose();
        throw error;
    }
}
