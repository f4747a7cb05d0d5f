using System.Net;
using System.Net.Sockets;
using System.Text;
using Hull.Registry.Http;

namespace Hull.Registry.Tests;

/// <summary>Files over real sockets: every size and place, many at once, and clients that are slow, stop, or break off.</summary>
public sealed class FileServingTests
{
    private const int Large = 30_000_000;

    private static readonly TimeSpan Soon = TimeSpan.FromSeconds(20);

    [Theory]
    [InlineData(2, 8)]
    [InlineData(40_000, 8)]
    [InlineData(900_000, 8)]
    [InlineData(50_000_000, 8)]
    [InlineData(50_000_000, 0)]
    public async Task FilesOfAnySizeArriveWhole(int size, int threads)
    {
        await using var files = new FileServer(size, new HttpLimits { SenderThreads = threads });
        using var client = await files.AskAsync();
        Assert.True((await ReadBodyAsync(client, size)).AsSpan().SequenceEqual(files.Content));
        await client.SendAsync(FileServer.Request());
        Assert.True((await ReadBodyAsync(client, size)).AsSpan().SequenceEqual(files.Content));
    }

    [Theory]
    [InlineData(1, 1)]
    [InlineData(7, 100_001)]
    [InlineData(4097, 2_000_003)]
    [InlineData(12_345_678, 9_876_543)]
    public async Task PartsOfAFileAreThoseAskedFor(int from, int count)
    {
        await using var files = new FileServer(Large, new HttpLimits());
        using var client = await files.AskAsync(from, count);
        Assert.True((await ReadBodyAsync(client, count)).AsSpan().SequenceEqual(files.Content.AsSpan(from, count)));
    }

    [Theory]
    [InlineData(0)]
    [InlineData(10_000_000)]
    public async Task AClientThatRestsGetsItsFileWhole(int before)
    {
        await using var files = new FileServer(Large, new HttpLimits());
        using var client = await files.AskAsync();
        var body = new byte[before];
        if (before > 0) await ReadHeadAsync(client);
        for (var filled = 0; filled < before;) filled += await client.ReceiveAsync(body.AsMemory(filled));
        // Longer than the server waits for a slow one in a thread.
        await Task.Delay(1500);
        if (before > 0) body = [.. body, .. await ReadExactlyAsync(client, Large - before)];
        else body = await ReadBodyAsync(client, Large);
        Assert.True(body.AsSpan().SequenceEqual(files.Content));
    }

    [Fact]
    public async Task ManyPullsShareFewThreads()
    {
        await using var files = new FileServer(3_000_000, new HttpLimits { SenderThreads = 2 });
        await Task.WhenAll(Enumerable.Range(0, 200).Select(async _ =>
        {
            using var client = await files.AskAsync();
            Assert.True((await ReadBodyAsync(client, files.Content.Length)).AsSpan().SequenceEqual(files.Content));
        }));
    }

    [Fact]
    public async Task ThoseThatTakeNothingHoldNobodyUp()
    {
        await using var files = new FileServer(Large, new HttpLimits { SenderThreads = 2 });
        var stuck = await Task.WhenAll(Enumerable.Range(0, 40).Select(_ => files.AskAsync()));
        using var client = await files.AskAsync();
        Assert.True((await ReadBodyAsync(client, Large).WaitAsync(Soon)).AsSpan().SequenceEqual(files.Content));
        foreach (var socket in stuck) socket.Dispose();
    }

    [Fact]
    public async Task AClientThatTakesNothingIsLeftWhenTheServerStops()
    {
        await using var files = new FileServer(Large, new HttpLimits());
        using var client = await files.AskAsync();
        await Task.Delay(50);
        await files.StopAsync();
        await files.FileClosed.WaitAsync(Soon);
    }

    [Fact]
    public async Task AClientThatStopsHalfWayIsGivenUp()
    {
        await using var files = new FileServer(Large, new HttpLimits { IdleTimeout = TimeSpan.FromSeconds(90) });
        using var client = await files.AskAsync();
        for (var read = 0; read < Large / 2;) read += await client.ReceiveAsync(new byte[64 << 10]);
        // What is under way fills the buffers first; then nothing moves.
        await Task.Delay(200);
        files.Clock.Pass(TimeSpan.FromSeconds(60));
        Assert.False(files.FileClosed.IsCompleted);
        files.Clock.Pass(TimeSpan.FromSeconds(60));
        await files.FileClosed.WaitAsync(Soon);
        Assert.True(await CountUntilBrokenAsync(client) < Large / 2);
    }

    [Fact]
    public async Task AClientThatTakesAThousandBytesASecondIsGivenUp()
    {
        await using var files = new FileServer(Large, new HttpLimits());
        using var client = await files.AskAsync();
        var read = 0;
        for (var seconds = 0; !files.FileClosed.IsCompleted; seconds += 10)
        {
            read += await client.ReceiveAsync(new byte[10_000]);
            files.Clock.Pass(TimeSpan.FromSeconds(10));
            await Task.Delay(1);
            Assert.True(seconds < 3600, "a client that is too slow is still served after an hour");
        }

        Assert.True(read < Large / 2);
    }

    [Fact]
    public async Task AClientThatResetsFreesItsFile()
    {
        await using var files = new FileServer(Large, new HttpLimits { SenderThreads = 1 });
        var client = await files.AskAsync();
        await client.ReceiveAsync(new byte[1000]);
        client.LingerState = new LingerOption(true, 0);
        client.Dispose();
        await files.FileClosed.WaitAsync(Soon);
        using var next = await files.AskAsync();
        Assert.True((await ReadBodyAsync(next, Large)).AsSpan().SequenceEqual(files.Content));
    }

    private static async Task<byte[]> ReadBodyAsync(Socket client, int length)
    {
        await ReadHeadAsync(client);
        return await ReadExactlyAsync(client, length);
    }

    private static async Task ReadHeadAsync(Socket client)
    {
        var head = new List<byte>();
        var one = new byte[1];
        while (await client.ReceiveAsync(one) == 1)
        {
            head.Add(one[0]);
            if (head is [.., 13, 10, 13, 10]) return;
        }

        Assert.Fail("the connection ended in the head: " + Encoding.Latin1.GetString([.. head]));
    }

    private static async Task<byte[]> ReadExactlyAsync(Socket client, int length)
    {
        var body = new byte[length];
        for (var filled = 0; filled < length;)
        {
            var count = await client.ReceiveAsync(body.AsMemory(filled));
            Assert.True(count > 0, $"the connection ended after {filled} of {length} bytes");
            filled += count;
        }

        return body;
    }

    private static async Task<long> CountUntilBrokenAsync(Socket client)
    {
        var read = 0L;
        var buffer = new byte[64 << 10];
        try
        {
            for (int count; (count = await client.ReceiveAsync(buffer)) > 0;) read += count;
        }
        catch (SocketException)
        {
        }

        return read;
    }
}
