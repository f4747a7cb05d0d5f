using System.Buffers.Binary;
using System.Net;
using System.Net.Sockets;
using System.Security.Cryptography;

namespace Hull.Network;

/// <summary>
/// Passes queries on to upstream servers and their answers back, unread but for the question. Each query has a socket and
/// a random id of its own, so that an answer cannot be guessed (RFC 5452); the number under way is bounded.
/// </summary>
internal sealed class DnsForwarder(HostStack host, UpstreamServers upstream) : IDisposable
{
    private const int MaximumUnderWay = 512;
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(2);
    private readonly SemaphoreSlim slots = new(MaximumUnderWay);

    /// <summary>The first good answer, or null. Servers are asked in order, all of them twice over UDP, once over TCP.</summary>
    public async Task<byte[]?> ForwardAsync(ReadOnlyMemory<byte> query, DnsQuestion question, IReadOnlyList<IPAddress> servers,
        bool overTcp, CancellationToken cancellation)
    {
        if (!await slots.WaitAsync(0, cancellation)) return null;
        try
        {
            var list = (servers.Count > 0 ? servers : upstream.Current).Take(3).ToList();
            for (var round = 0; round < (overTcp ? 1 : 2); round++)
            {
                foreach (var server in list)
                {
                    if (await TryAskAsync(query, question, server, overTcp, cancellation) is { } answer) return answer;
                }
            }

            return null;
        }
        finally
        {
            slots.Release();
        }
    }

    public void Dispose() => slots.Dispose();

    private async Task<byte[]?> TryAskAsync(ReadOnlyMemory<byte> query, DnsQuestion question, IPAddress server, bool overTcp, CancellationToken cancellation)
    {
        using var timeout = CancellationTokenSource.CreateLinkedTokenSource(cancellation);
        timeout.CancelAfter(Patience);
        var copy = query.ToArray();
        BinaryPrimitives.WriteUInt16BigEndian(copy, (ushort)RandomNumberGenerator.GetInt32(65536));
        try
        {
            var answer = overTcp ? await AskTcpAsync(copy, question, server, timeout.Token) : await AskUdpAsync(copy, question, server, timeout.Token);
            // The asker's own id; a server that fails is as good as one that does not answer, as long as there is another.
            BinaryPrimitives.WriteUInt16BigEndian(answer, question.Id);
            return answer;
        }
        catch (SocketException)
        {
            return null;
        }
        catch (IOException)
        {
            return null;
        }
        catch (OperationCanceledException) when (!cancellation.IsCancellationRequested)
        {
            return null;
        }
    }

    private async Task<byte[]> AskUdpAsync(byte[] query, DnsQuestion question, IPAddress server, CancellationToken cancellation)
    {
        using var socket = host.Run(() => new Socket(server.AddressFamily, SocketType.Dgram, ProtocolType.Udp));
        await socket.ConnectAsync(new IPEndPoint(server, 53), cancellation);
        await socket.SendAsync(query, cancellation);
        var buffer = new byte[65535];
        while (true)
        {
            var count = await socket.ReceiveAsync(buffer, cancellation);
            if (DnsMessage.Answers(buffer.AsSpan(0, count), query, question)) return buffer[..count];
        }
    }

    private async Task<byte[]> AskTcpAsync(byte[] query, DnsQuestion question, IPAddress server, CancellationToken cancellation)
    {
        using var socket = host.Run(() => new Socket(server.AddressFamily, SocketType.Stream, ProtocolType.Tcp));
        await socket.ConnectAsync(new IPEndPoint(server, 53), cancellation);
        await using var stream = new NetworkStream(socket);
        await DnsListener.WriteFrameAsync(stream, query, cancellation);
        var answer = await DnsListener.ReadFrameAsync(stream, cancellation) ?? throw new IOException("the name server closed the connection");
        return DnsMessage.Answers(answer, query, question) ? answer : throw new IOException("the name server answered another question");
    }
}
