using System.Net;
using System.Net.Sockets;
using System.Text;
using Hull.Registry.Http;

namespace Hull.Registry.Tests;

/// <summary>The HTTP server over real sockets: what clients do, and what they must not get away with.</summary>
public sealed class HttpServerTests
{
    private static async Task<string> ExchangeAsync(string request, HttpLimits? limits = null, bool half = false)
    {
        using var stop = new CancellationTokenSource();
        using var server = new HttpServer(new IPEndPoint(IPAddress.Loopback, 0), EchoAsync, limits ?? new HttpLimits(), null, _ => { }, TimeProvider.System);
        var serving = server.RunAsync(stop.Token);
        using var client = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
        await client.ConnectAsync(server.Address);
        await client.SendAsync(Encoding.Latin1.GetBytes(request));
        if (!half) client.Shutdown(SocketShutdown.Send);
        var answer = new MemoryStream();
        var buffer = new byte[65536];
        try
        {
            for (int count; (count = await client.ReceiveAsync(buffer)) > 0;) answer.Write(buffer, 0, count);
        }
        catch (SocketException)
        {
        }

        await stop.CancelAsync();
        await serving;
        return Encoding.Latin1.GetString(answer.ToArray());
    }

    private static async Task<HttpResponse> EchoAsync(HttpRequest request, CancellationToken cancellation)
    {
        if (request.Path == "/ignore") return new HttpResponse(200) { Bytes = "ignored"u8.ToArray() };
        var body = new MemoryStream();
        var buffer = new byte[7];
        for (int count; (count = await request.Body.ReadAsync(buffer, cancellation)) > 0;) body.Write(buffer, 0, count);
        return new HttpResponse(200) { Bytes = Encoding.UTF8.GetBytes($"{request.Method} {request.Path} [{Encoding.UTF8.GetString(body.ToArray())}]") };
    }

    [Fact]
    public async Task RequestsOfOneConnectionAreAnsweredInTurn()
    {
        var answer = await ExchangeAsync("GET /a%20b HTTP/1.1\r\nHost: x\r\n\r\nPUT /c HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nhelloGET /d HTTP/1.1\r\nHost: x\r\n\r\n");
        Assert.Contains("GET /a b []", answer);
        Assert.Contains("PUT /c [hello]", answer);
        Assert.Contains("GET /d []", answer);
    }

    [Fact]
    public async Task ChunkedBodiesAreRead() => Assert.Contains("PUT /c [hello world]",
        await ExchangeAsync("PUT /c HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n5;x=y\r\nhello\r\n6\r\n world\r\n0\r\nTrailer: z\r\n\r\n"));

    [Fact]
    public async Task HeadHasNoBody()
    {
        var answer = await ExchangeAsync("HEAD /c HTTP/1.1\r\nHost: x\r\n\r\n");
        Assert.Contains("Content-Length: 10\r\n", answer);
        Assert.EndsWith("\r\n\r\n", answer);
    }

    [Fact]
    public async Task WhoWaitsForContinueGetsIt() => Assert.StartsWith("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200",
        await ExchangeAsync("PUT /c HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\nhi"));

    [Fact]
    public async Task ABodyNobodyReadDoesNotBecomeARequest()
    {
        var answer = await ExchangeAsync("PUT /ignore HTTP/1.1\r\nHost: x\r\nContent-Length: 40\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: x\r\n\r\n     ");
        Assert.DoesNotContain("smuggled", answer);
    }

    [Theory]
    [InlineData("\u0016\u0003\u0001\u0002\u0000", "400")]
    [InlineData("GET / HTTP/2.0\r\nHost: x\r\n\r\n", "505")]
    [InlineData("GET / HTTP/1.1\r\n\r\n", "400")]
    [InlineData("GET / HTTP/1.1\r\nHost: x\r\nHost: y\r\n\r\n", "400")]
    [InlineData("GET  / HTTP/1.1\r\nHost: x\r\n\r\n", "400")]
    [InlineData("GET nopath HTTP/1.1\r\nHost: x\r\n\r\n", "400")]
    [InlineData("GET / HTTP/1.1\r\nHost: x\r\nBad Name: y\r\n\r\n", "400")]
    [InlineData("GET / HTTP/1.1\r\nHost : x\r\n\r\n", "400")]
    [InlineData("GET / HTTP/1.1\r\nHost: x\r\n folded\r\n\r\n", "400")]
    [InlineData("GET /%00 HTTP/1.1\r\nHost: x\r\n\r\n", "400")]
    [InlineData("PUT / HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab", "400")]
    [InlineData("PUT / HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n", "400")]
    [InlineData("PUT / HTTP/1.1\r\nHost: x\r\nContent-Length: +1\r\n\r\na", "400")]
    [InlineData("PUT / HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", "400")]
    [InlineData("PUT / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: gzip\r\n\r\n", "501")]
    [InlineData("PUT / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", "400")]
    [InlineData("PUT / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nabcd\r\n0\r\n\r\n", "400")]
    [InlineData("PUT / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nffffffffffffffff\r\n", "400")]
    public async Task WhatIsNoRequestIsRefusedAndTheConnectionClosed(string request, string status)
    {
        var answer = await ExchangeAsync(request, half: true);
        Assert.StartsWith($"HTTP/1.1 {status} ", answer);
        Assert.Contains("Connection: close", answer);
    }

    [Fact]
    public async Task AHeadWithoutEndIsRefused() =>
        Assert.StartsWith("HTTP/1.1 431", await ExchangeAsync("GET / HTTP/1.1\r\nHost: x\r\nX: " + new string('a', 40_000), half: true));

    [Fact]
    public async Task AHeaderWithManyFieldsIsRefused() =>
        Assert.StartsWith("HTTP/1.1 431", await ExchangeAsync("GET / HTTP/1.1\r\nHost: x\r\n" + string.Concat(Enumerable.Repeat("X: y\r\n", 200)) + "\r\n", half: true));

    [Fact]
    public void RandomHeadsAreReadOrRefused()
    {
        var random = new Random(7);
        string[] words = ["GET ", "/v2/", " HTTP/1.1", "\r\n", "Host: x", "Content-Length: ", "5", "Transfer-Encoding: chunked", ":", " ", "%41", "%", "?n=1&", "é", "\n", "\0", "http://h/x"];
        for (var round = 0; round < 20_000; round++)
        {
            var text = string.Concat(Enumerable.Range(0, random.Next(12)).Select(_ => words[random.Next(words.Length)])) + "\r\n\r\n";
            try
            {
                HeadParser.Parse(Encoding.Latin1.GetBytes(text));
            }
            catch (BadRequestException)
            {
            }
        }
    }
}
