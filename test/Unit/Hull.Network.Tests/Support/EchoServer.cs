using System.Net;
using System.Net.Sockets;
using System.Text;
using Hull.Linux.Netlink;

namespace Hull.Network.Tests;

/// <summary>Answers every connection or datagram with the address it came from, in a network namespace.</summary>
public sealed class EchoServer : IDisposable
{
    private readonly Socket socket;

    public EchoServer(string namespacePath, int port, TransportProtocol protocol, bool v6)
    {
        using var target = NetworkNamespace.Open(namespacePath);
        var local = new IPEndPoint(v6 ? IPAddress.IPv6Any : IPAddress.Any, port);
        socket = target.Run(() => Create(local.AddressFamily, protocol));
        socket.Bind(local);
        if (protocol == TransportProtocol.Tcp)
        {
            socket.Listen();
            _ = AcceptAsync();
        }
        else
        {
            _ = ReceiveAsync(local);
        }
    }

    public void Dispose() => socket.Dispose();

    public static string? Ask(string namespacePath, IPAddress address, int port, TransportProtocol protocol)
    {
        using var source = NetworkNamespace.Open(namespacePath);
        using var client = source.Run(() => Create(address.AddressFamily, protocol));
        try
        {
            // Unreachable must be told from slow: nothing here takes anywhere near this long unless it is dropped.
            client.ReceiveTimeout = 1500;
            if (!client.ConnectAsync(address, port).Wait(1500)) return null;
            client.Send("x"u8);
            var buffer = new byte[256];
            return Encoding.ASCII.GetString(buffer, 0, client.Receive(buffer));
        }
        catch (Exception error) when (error is SocketException or AggregateException)
        {
            return null;
        }
    }

    private static Socket Create(AddressFamily family, TransportProtocol protocol) => protocol == TransportProtocol.Tcp
        ? new Socket(family, SocketType.Stream, ProtocolType.Tcp)
        : new Socket(family, SocketType.Dgram, ProtocolType.Udp);

    private async Task AcceptAsync()
    {
        try
        {
            while (true)
            {
                var peer = await socket.AcceptAsync();
                _ = AnswerAsync(peer);
            }
        }
        catch (Exception error) when (error is SocketException or ObjectDisposedException)
        {
            // The test is over.
        }
    }

    private static async Task AnswerAsync(Socket peer)
    {
        using (peer)
        {
            try
            {
                var buffer = new byte[256];
                while (await peer.ReceiveAsync(buffer) > 0)
                    await peer.SendAsync(Encoding.ASCII.GetBytes(((IPEndPoint)peer.RemoteEndPoint!).Address.ToString()));
            }
            catch (SocketException)
            {
                // The asker left.
            }
        }
    }

    private async Task ReceiveAsync(IPEndPoint any)
    {
        try
        {
            var buffer = new byte[256];
            while (true)
            {
                var received = await socket.ReceiveFromAsync(buffer, any);
                await socket.SendToAsync(Encoding.ASCII.GetBytes(((IPEndPoint)received.RemoteEndPoint).Address.ToString()), received.RemoteEndPoint);
            }
        }
        catch (Exception error) when (error is SocketException or ObjectDisposedException)
        {
            // The test is over.
        }
    }
}
