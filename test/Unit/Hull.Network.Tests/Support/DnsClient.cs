using System.Buffers.Binary;
using System.Net;
using System.Net.Sockets;
using System.Text;
using Hull.Linux.Netlink;

namespace Hull.Network.Tests;

internal sealed record DnsAnswer(DnsCode Code, List<IPAddress> Addresses, string Text);

/// <summary>A resolver's client of its own, so that the resolver is not tested by its own code.</summary>
internal static class DnsClient
{
    public static byte[] Build(string name, ushort type, ushort id = 0x1234)
    {
        var bytes = new List<byte> { (byte)(id >> 8), (byte)id, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0 };
        foreach (var label in name.Split('.', StringSplitOptions.RemoveEmptyEntries))
        {
            bytes.Add((byte)label.Length);
            bytes.AddRange(Encoding.ASCII.GetBytes(label));
        }

        bytes.AddRange([0, (byte)(type >> 8), (byte)type, 0, 1]);
        return [.. bytes];
    }

    public static DnsAnswer Query(string namespacePath, IPAddress server, string name, ushort type, bool tcp)
    {
        using var inside = NetworkNamespace.Open(namespacePath);
        using var socket = inside.Run(() => tcp
            ? new Socket(server.AddressFamily, SocketType.Stream, ProtocolType.Tcp)
            : new Socket(server.AddressFamily, SocketType.Dgram, ProtocolType.Udp));
        socket.ReceiveTimeout = 15000;
        socket.Connect(server, 53);
        var query = Build(name, type);
        var buffer = new byte[4096];
        if (!tcp)
        {
            socket.Send(query);
            return Parse(buffer.AsSpan(0, socket.Receive(buffer)), query.Length);
        }

        socket.Send([(byte)(query.Length >> 8), (byte)query.Length, .. query]);
        var count = 0;
        while (count < 2 || count < 2 + BinaryPrimitives.ReadUInt16BigEndian(buffer)) count += socket.Receive(buffer, count, buffer.Length - count, SocketFlags.None);
        return Parse(buffer.AsSpan(2, count - 2), query.Length);
    }

    public static DnsAnswer Parse(ReadOnlySpan<byte> message, int position)
    {
        Assert.Equal(0x1234, BinaryPrimitives.ReadUInt16BigEndian(message));
        var addresses = new List<IPAddress>();
        for (var left = BinaryPrimitives.ReadUInt16BigEndian(message[6..]); left > 0; left--)
        {
            position += 2;
            var length = BinaryPrimitives.ReadUInt16BigEndian(message[(position + 8)..]);
            if (length is 4 or 16) addresses.Add(new IPAddress(message.Slice(position + 10, length)));
            position += 10 + length;
        }

        return new DnsAnswer((DnsCode)(message[3] & 15), addresses, Encoding.ASCII.GetString(message));
    }
}

/// <summary>A name server outside that gives the same address for every name.</summary>
internal sealed class FakeNameServer : IDisposable
{
    private readonly Socket socket;
    private int queries;

    public FakeNameServer(string namespacePath, IPAddress answer)
    {
        using var inside = NetworkNamespace.Open(namespacePath);
        socket = inside.Run(() => new Socket(AddressFamily.InterNetwork, SocketType.Dgram, ProtocolType.Udp));
        socket.Bind(new IPEndPoint(IPAddress.Any, 53));
        _ = ServeAsync(answer);
    }

    public int Queries => queries;

    public void Dispose() => socket.Dispose();

    private async Task ServeAsync(IPAddress answer)
    {
        try
        {
            var buffer = new byte[4096];
            while (true)
            {
                var received = await socket.ReceiveFromAsync(buffer, new IPEndPoint(IPAddress.Any, 0));
                Interlocked.Increment(ref queries);
                var reply = buffer[..received.ReceivedBytes].ToList();
                (reply[2], reply[3], reply[7]) = (0x81, 0x80, 1);
                reply.AddRange([0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 9, 0, 4, .. answer.GetAddressBytes()]);
                await socket.SendToAsync(reply.ToArray(), received.RemoteEndPoint);
            }
        }
        catch (Exception error) when (error is SocketException or ObjectDisposedException)
        {
            // The test is over.
        }
    }
}
