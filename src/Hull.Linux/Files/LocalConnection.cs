using System.Net;
using System.Net.Sockets;
using static Hull.Linux.Abi.Tcp;

namespace Hull.Linux.Files;

/// <summary>TCP connections whose other end runs on this machine: there is no network to be careful with, and one set of processors.</summary>
public static class LocalConnection
{
    /// <summary>Bytes that wait to be sent before the sender waits too: enough for the loopback's largest packets, and for a cache.</summary>
    public const int Unsent = 128 << 10;

    /// <summary>
    /// Makes sending cheap on a connection within the machine, and leaves any other as it is. Two settings of tcp(7):
    /// <list type="bullet">
    /// <item>TCP_CONGESTION: reno. Where the machine's default is bbr, each packet waits for a timer that spaces it from the one
    /// before, which takes half of the time; reno spaces nothing, is in every kernel, and needs no privilege.</item>
    /// <item>TCP_NOTSENT_LOWAT: what waits in the send buffer is sent by whoever acknowledges, so that a reader that has enough to
    /// do with copying does the sender's work as well; and megabytes in the buffer have left the cache when they are read.</item>
    /// </list>
    /// A kernel that refuses either has a slower connection.
    /// </summary>
    public static void Tune(Socket socket)
    {
        if (!IsLocal(socket.LocalEndPoint, socket.RemoteEndPoint)) return;
        Span<byte> unsent = stackalloc byte[sizeof(int)];
        BitConverter.TryWriteBytes(unsent, Unsent);
        Set(socket, TCP_CONGESTION, "reno"u8);
        Set(socket, TCP_NOTSENT_LOWAT, unsent);
    }

    /// <summary>Whether a peer has an address of this machine. A container's peer has its own, and is none.</summary>
    internal static bool IsLocal(EndPoint? own, EndPoint? peer) =>
        (own, peer) is (IPEndPoint here, IPEndPoint there) && (IPAddress.IsLoopback(there.Address) || there.Address.Equals(here.Address));

    private static void Set(Socket socket, int option, ReadOnlySpan<byte> value)
    {
        try
        {
            socket.SetRawSocketOption(IPPROTO_TCP, option, value);
        }
        catch (SocketException)
        {
        }
    }
}
