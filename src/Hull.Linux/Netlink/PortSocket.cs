using System.Buffers.Binary;
using System.Net;
using System.Net.Sockets;
using System.Runtime.InteropServices;
using Microsoft.Win32.SafeHandles;

namespace Hull.Linux.Netlink;

/// <summary>
/// Holds a port of the host by a bound socket that nobody listens on, without SO_REUSEADDR (which .NET's own sockets set):
/// the kernel then refuses the port to every other program, and refuses it here while another has it.
/// </summary>
public static class PortSocket
{
    /// <summary>
    /// Binds in the network namespace of the calling thread. Answers null with <paramref name="errno"/> set where the
    /// kernel refuses: EADDRINUSE for a port that is taken. Port 0 lets the kernel choose; <paramref name="bound"/> says which.
    /// </summary>
    /// <param name="protocol">IP protocol number: 6 TCP, 17 UDP, 132 SCTP.</param>
    public static SafeFileHandle? TryBind(IPAddress address, int protocol, ushort port, out ushort bound, out int errno)
    {
        (bound, errno) = (port, 0);
        var v4 = address.AddressFamily == AddressFamily.InterNetwork;
        var type = (protocol == 17 ? NetlinkNative.SOCK_DGRAM : NetlinkNative.SOCK_STREAM) | NetlinkNative.SOCK_CLOEXEC;
        var descriptor = NetlinkNative.socket(v4 ? NetlinkNative.AF_INET : NetlinkNative.AF_INET6, type, protocol);
        if (descriptor < 0) return Fail(null, out errno);
        var handle = NetlinkNative.Own(descriptor);
        if (!v4)
        {
            var only = 1;
            NetlinkNative.setsockopt(handle, 41 /* IPPROTO_IPV6 */, 26 /* IPV6_V6ONLY */, ref only, sizeof(int));
        }

        Span<byte> name = stackalloc byte[v4 ? 16 : 28]; // struct sockaddr_in, sockaddr_in6
        name.Clear();
        BinaryPrimitives.WriteUInt16LittleEndian(name, (ushort)(v4 ? NetlinkNative.AF_INET : NetlinkNative.AF_INET6));
        BinaryPrimitives.WriteUInt16BigEndian(name[2..], port);
        address.TryWriteBytes(name[(v4 ? 4 : 8)..], out _);
        if (NetlinkNative.bind(handle, ref name[0], name.Length) < 0) return Fail(handle, out errno);
        var length = name.Length;
        if (NetlinkNative.getsockname(handle, ref name[0], ref length) < 0) return Fail(handle, out errno);
        bound = BinaryPrimitives.ReadUInt16BigEndian(name[2..]);
        return handle;
    }

    private static SafeFileHandle? Fail(SafeFileHandle? handle, out int errno)
    {
        errno = Marshal.GetLastPInvokeError();
        handle?.Dispose();
        return null;
    }
}
