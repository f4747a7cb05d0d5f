using System.Net;
using System.Net.Sockets;
using System.Text;
using Hull.Linux.Files;
using static Hull.Linux.Abi.Tcp;

namespace Hull.Linux.Tests.Files;

public sealed class LocalConnectionTests
{
    [Fact]
    public async Task AConnectionWithinTheMachineIsNotPacedAndQueuesLittle()
    {
        using var listener = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
        listener.Bind(new IPEndPoint(IPAddress.Loopback, 0));
        listener.Listen();
        using var client = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
        await client.ConnectAsync(listener.LocalEndPoint!);
        using var server = await listener.AcceptAsync();

        LocalConnection.Tune(server);

        var name = new byte[16];
        server.GetRawSocketOption(IPPROTO_TCP, TCP_CONGESTION, name);
        Assert.Equal("reno", Encoding.ASCII.GetString(name).TrimEnd('\0'));
        var unsent = new byte[4];
        server.GetRawSocketOption(IPPROTO_TCP, TCP_NOTSENT_LOWAT, unsent);
        Assert.Equal(LocalConnection.Unsent, BitConverter.ToInt32(unsent));
    }

    [Fact]
    public void ASocketWithoutPeerIsLeftAlone()
    {
        using var socket = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
        var before = new byte[16];
        socket.GetRawSocketOption(IPPROTO_TCP, TCP_CONGESTION, before);

        LocalConnection.Tune(socket);

        var after = new byte[16];
        socket.GetRawSocketOption(IPPROTO_TCP, TCP_CONGESTION, after);
        Assert.Equal(before, after);
        var unsent = new byte[4];
        socket.GetRawSocketOption(IPPROTO_TCP, TCP_NOTSENT_LOWAT, unsent);
        Assert.Equal(0, BitConverter.ToInt32(unsent));
    }

    [Theory]
    [InlineData("127.0.0.1", "127.0.0.1", true)]
    [InlineData("127.0.0.2", "127.0.0.1", true)]
    [InlineData("::1", "::1", true)]
    [InlineData("::ffff:127.0.0.1", "::ffff:127.0.0.1", true)]
    [InlineData("192.0.2.1", "192.0.2.1", true)]
    [InlineData("192.0.2.1", "192.0.2.2", false)]
    [InlineData("2001:db8::1", "2001:db8::2", false)]
    public void APeerIsLocalByItsAddress(string own, string peer, bool local) =>
        Assert.Equal(local, LocalConnection.IsLocal(new IPEndPoint(IPAddress.Parse(own), 1), new IPEndPoint(IPAddress.Parse(peer), 2)));
}
