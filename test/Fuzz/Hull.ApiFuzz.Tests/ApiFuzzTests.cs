using System.Net.Sockets;
using System.Text;
using System.Text.Json.Nodes;
using Hull.InstanceContract.Tests;
using Hull.Testing;

namespace Hull.ApiFuzz.Tests;

/// <summary>
/// Wrong requests at the API of a real engine: whatever comes, it answers with a status and a reason, never with a failure
/// of its own, and afterwards it has grown by nothing and owns everything that exists.
/// </summary>
public sealed class ApiFuzzTests : IDisposable
{
    private const int Batch = 250;
    private static readonly int s_count = Environment.GetEnvironmentVariable("HULL_SOAK") is "1" ? 100_000 : int.TryParse(Environment.GetEnvironmentVariable("HULL_FUZZ_COUNT"), out var count) ? count : 1500;
    private readonly TemporaryDirectory scratch = new("fuzz");
    private readonly EngineDaemon engine;

    public ApiFuzzTests()
    {
        BusyboxRoot.Make(scratch["root"]);
        engine = new EngineDaemon();
        engine.Import(scratch["root"]);
        Restore().GetAwaiter().GetResult();
    }

    public void Dispose()
    {
        engine.Dispose();
        scratch.Dispose();
    }

    [Fact]
    public async Task Every_request_gets_a_sane_answer()
    {
        var seed = int.TryParse(Environment.GetEnvironmentVariable("HULL_FUZZ_SEED"), out var chosen) ? chosen : Environment.TickCount;
        var mutator = new RequestMutator(seed);
        for (var done = 0; done < s_count; done += Batch)
        {
            var bad = new List<string>();
            await Parallel.ForEachAsync(Enumerable.Range(0, Batch).Select(_ => mutator.Next()).ToList(), new ParallelOptions { MaxDegreeOfParallelism = 8 }, async (message, _) =>
            {
                if (await SendAsync(message) is { } complaint) lock (bad) bad.Add($"{complaint} to\n{Encoding.UTF8.GetString(message)[..Math.Min(1500, message.Length)]}");
            });
            Assert.True(engine.IsRunning, $"seed {seed}: the engine ended: {Said()}");
            Assert.True(bad.Count == 0, $"seed {seed}: {bad.Count} bad answers, such as {string.Join("\n\n", bad.Take(3))}\n{Said()}");
            await Restore();
        }

        lock (engine.Log) Assert.DoesNotContain(engine.Log, line => line.Contains("   at ", StringComparison.Ordinal));
        Assert.InRange(engine.ResidentKilobytes, 0, 300 * 1024);
        Assert.Contains("belongs to a workload", (await engine.GetAsync("/hull/v1/doctor?leaks=1")).Text, StringComparison.Ordinal);
    }

    /// <summary>Null where the answer is in order, or where there is none to expect yet.</summary>
    private async Task<string?> SendAsync(byte[] message)
    {
        using var socket = engine.Connect();
        var answer = new byte[65536];
        var length = 0;
        // Streams and waits do not end by themselves; what is asked of them is that they begin and let go.
        using var patience = new CancellationTokenSource(400);
        try
        {
            await socket.SendAsync(message, patience.Token);
            if (message.Length % 3 == 0) socket.Shutdown(SocketShutdown.Send);
            while (length < answer.Length && await socket.ReceiveAsync(answer.AsMemory(length), patience.Token) is > 0 and var count) length += count;
        }
        catch (Exception error) when (error is OperationCanceledException or SocketException)
        {
            // Judged by what came.
        }

        if (length == 0) return null;
        var text = Encoding.UTF8.GetString(answer, 0, length);
        if (!text.StartsWith("HTTP/1.", StringComparison.Ordinal) || text.Length < 12 || text[9] is < '1' or > '5') return "no HTTP: " + text[..Math.Min(200, text.Length)];
        return text.Contains(" 500 ", StringComparison.Ordinal) && text.StartsWith("HTTP/1.1 500", StringComparison.Ordinal) && text.Contains("the engine failed", StringComparison.Ordinal) ? text : null;
    }

    /// <summary>Asks the engine whether it is well, and brings back what the seeds begin with.</summary>
    private async Task Restore()
    {
        Assert.Equal(200, (await engine.GetAsync("/_ping", 5)).Status);
        foreach (var workload in (await engine.GetAsync("/containers/json?all=1")).Json.AsArray())
            if (!workload!["Names"]!.AsArray().Any(name => (string)name! == "/c1")) await engine.SendAsync("DELETE", $"/containers/{workload["Id"]}?force=1&v=1");
        if ((await engine.GetAsync("/images/busybox/json")).Status == 404) engine.Import(scratch["root"]);
        if ((await engine.GetAsync("/containers/c1/json")).Status == 404)
            (await engine.PostAsync("/containers/create?name=c1", new JsonObject { ["Image"] = "busybox", ["Cmd"] = new JsonArray("sleep", "6000"), ["HostConfig"] = new JsonObject { ["RestartPolicy"] = new JsonObject { ["Name"] = "always" } } })).Ok();
        if (!(bool)(await engine.GetAsync("/containers/c1/json")).Json["State"]!["Running"]!) await engine.PostAsync("/containers/c1/start");
    }

    private string Said()
    {
        lock (engine.Log) return string.Join('\n', engine.Log.TakeLast(20));
    }
}
