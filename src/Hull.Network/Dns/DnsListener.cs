using System.Buffers.Binary;
using System.Net;
using System.Net.Sockets;

namespace Hull.Network;

/// <summary>
/// Serves one address of one network over UDP and TCP: the gateway, where containers and virtual machines alike reach it
/// without anything set up in them. Everything an asker can make it hold is bounded.
/// </summary>
internal sealed class DnsListener : IAsyncDisposable
{
    private const int MaximumConnections = 64;
    private const int MaximumQueries = 256;
    private static readonly TimeSpan IdleConnection = TimeSpan.FromSeconds(10);
    private readonly Socket udp;
    private readonly Socket tcp;
    private readonly DnsResolver resolver;
    private readonly NetworkRecord network;
    private readonly CancellationTokenSource stop = new();
    private readonly SemaphoreSlim queries = new(MaximumQueries);
    private readonly SemaphoreSlim connections = new(MaximumConnections);
    private readonly Task[] loops;

    /// <param name="port">53, or 0 for a free one.</param>
    public DnsListener(HostStack host, IPAddress address, int port, NetworkRecord network, DnsResolver resolver)
    {
        (this.network, this.resolver) = (network, resolver);
        (udp, tcp) = host.Run(() => Bind(new IPEndPoint(address, port)));
        Port = (ushort)((IPEndPoint)udp.LocalEndPoint!).Port;
        loops = [ReceiveAsync(), AcceptAsync()];
    }

    /// <summary>The port, the same over UDP and TCP.</summary>
    public ushort Port { get; }

    public async ValueTask DisposeAsync()
    {
        await stop.CancelAsync();
        udp.Dispose();
        tcp.Dispose();
        await Task.WhenAll(loops);
        stop.Dispose();
    }

    /// <summary>A message with its length before it (RFC 1035, section 4.2.2); null at the end of the stream.</summary>
    public static async Task<byte[]?> ReadFrameAsync(Stream stream, CancellationToken cancellation)
    {
        var length = new byte[2];
        if (await stream.ReadAtLeastAsync(length, 2, throwOnEndOfStream: false, cancellation) < 2) return null;
        var message = new byte[BinaryPrimitives.ReadUInt16BigEndian(length)];
        return await stream.ReadAtLeastAsync(message, message.Length, throwOnEndOfStream: false, cancellation) == message.Length ? message : null;
    }

    public static async Task WriteFrameAsync(Stream stream, byte[] message, CancellationToken cancellation)
    {
        var frame = new byte[message.Length + 2];
        BinaryPrimitives.WriteUInt16BigEndian(frame, (ushort)message.Length);
        message.CopyTo(frame, 2);
        await stream.WriteAsync(frame, cancellation);
    }

    private static (Socket, Socket) Bind(IPEndPoint local)
    {
        var udp = new Socket(local.AddressFamily, SocketType.Dgram, ProtocolType.Udp);
        var tcp = new Socket(local.AddressFamily, SocketType.Stream, ProtocolType.Tcp);
        try
        {
            udp.Bind(local);
            tcp.Bind(new IPEndPoint(local.Address, ((IPEndPoint)udp.LocalEndPoint!).Port));
            tcp.Listen(MaximumConnections);
            return (udp, tcp);
        }
        catch
        {
            udp.Dispose();
            tcp.Dispose();
            throw;
        }
    }

    private async Task ReceiveAsync()
    {
        var buffer = new byte[4096];
        EndPoint any = new IPEndPoint(udp.AddressFamily == AddressFamily.InterNetwork ? IPAddress.Any : IPAddress.IPv6Any, 0);
        while (!stop.IsCancellationRequested)
        {
            try
            {
                var received = await udp.ReceiveFromAsync(buffer, SocketFlags.None, any, stop.Token);
                // More under way than allowed: dropped, as a router would; the asker tries again.
                if (!queries.Wait(0, CancellationToken.None)) continue;
                _ = AnswerUdpAsync(buffer.AsMemory(0, received.ReceivedBytes).ToArray(), (IPEndPoint)received.RemoteEndPoint);
            }
            catch (SocketException)
            {
                // An ICMP error for an earlier answer, or a datagram beyond the buffer: neither concerns the next one.
            }
            catch (OperationCanceledException)
            {
                return;
            }
            catch (ObjectDisposedException)
            {
                return;
            }
        }
    }

    private async Task AnswerUdpAsync(byte[] query, IPEndPoint asker)
    {
        try
        {
            if (await resolver.AnswerAsync(query, network, asker.Address, overTcp: false, stop.Token) is { } answer)
                await udp.SendToAsync(answer, SocketFlags.None, asker, stop.Token);
        }
        catch (Exception error) when (error is SocketException or OperationCanceledException or ObjectDisposedException)
        {
            // The asker is gone, or the network.
        }
        finally
        {
            queries.Release();
        }
    }

    private async Task AcceptAsync()
    {
        while (!stop.IsCancellationRequested)
        {
            try
            {
                var socket = await tcp.AcceptAsync(stop.Token);
                if (connections.Wait(0, CancellationToken.None)) _ = ServeAsync(socket);
                else socket.Dispose();
            }
            catch (SocketException)
            {
                // The connection was reset before it was accepted, or descriptors ran out: do not spin on it.
                await Task.Delay(10, CancellationToken.None);
            }
            catch (Exception error) when (error is OperationCanceledException or ObjectDisposedException)
            {
                return;
            }
        }
    }

    private async Task ServeAsync(Socket socket)
    {
        try
        {
            var asker = ((IPEndPoint)socket.RemoteEndPoint!).Address;
            await using var stream = new NetworkStream(socket, ownsSocket: true);
            while (true)
            {
                using var idle = CancellationTokenSource.CreateLinkedTokenSource(stop.Token);
                idle.CancelAfter(IdleConnection);
                if (await ReadFrameAsync(stream, idle.Token) is not { } query) return;
                if (await resolver.AnswerAsync(query, network, asker, overTcp: true, idle.Token) is not { } answer) return;
                await WriteFrameAsync(stream, answer, idle.Token);
            }
        }
        catch (Exception error) when (error is SocketException or IOException or OperationCanceledException or ObjectDisposedException)
        {
            // The other side left, or took too long.
        }
        finally
        {
            socket.Dispose();
            connections.Release();
        }
    }
}
