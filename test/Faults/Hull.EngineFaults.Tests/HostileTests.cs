using System.Diagnostics;
using System.Globalization;
using System.Net.Sockets;
using System.Text;
using System.Text.Json.Nodes;
using Hull.InstanceContract.Tests;
using Hull.Testing;

namespace Hull.EngineFaults.Tests;

/// <summary>Clients that mean ill or are broken: others are served meanwhile, and nothing of them stays.</summary>
public sealed class HostileTests : IDisposable
{
    private readonly TemporaryDirectory scratch = new("hostile");
    private EngineDaemon? made;

    private EngineDaemon Engine => made!;

    public void Dispose()
    {
        made?.Dispose();
        Command.Run("umount", "-l", scratch["full"]);
        scratch.Dispose();
    }

    [Fact]
    public async Task Clients_that_never_finish_their_requests_hold_up_nobody()
    {
        await StartAsync();
        var before = Engine.ResidentKilobytes;
        var sockets = Enumerable.Range(0, 400).Select(_ => Engine.Connect()).ToList();
        try
        {
            for (var i = 0; i < sockets.Count; i++)
            {
                // Half of them stop in the header, half in the content.
                var text = i % 2 == 0 ? "GET /info HTTP/1.1\r\nHost: hull\r\nX-Slow: " : "POST /containers/create HTTP/1.1\r\nHost: hull\r\nContent-Type: application/json\r\nContent-Length: 5000000\r\n\r\n{";
                sockets[i].Send(Encoding.ASCII.GetBytes(text));
            }

            for (var i = 0; i < 20; i++)
            {
                foreach (var socket in sockets) socket.Send("x"u8);
                Assert.Equal(200, (await Engine.GetAsync("/_ping", 20)).Status);
            }

            Assert.InRange(Engine.ResidentKilobytes - before, -100_000, 64 * 1024);
            // The header has 20 seconds.
            sockets[0].ReceiveTimeout = 30_000;
            Assert.StartsWith("HTTP/1.1 408", Read(sockets[0]), StringComparison.Ordinal);
        }
        finally
        {
            foreach (var socket in sockets) socket.Dispose();
        }

        await DescriptorsReturnAsync();
    }

    [Fact]
    public async Task An_engine_that_stops_waits_for_none_that_never_finish()
    {
        await StartAsync();
        var sockets = Enumerable.Range(0, 30).Select(_ => Engine.Connect()).ToList();
        try
        {
            for (var i = 0; i < sockets.Count; i++)
            {
                sockets[i].Send(Encoding.ASCII.GetBytes(i % 2 == 0 ? "GET /events HTTP/1.1\r\nHost: hull\r\n\r\n"
                    : "POST /containers/create HTTP/1.1\r\nHost: hull\r\nContent-Type: application/json\r\nContent-Length: 500\r\n\r\n{"));
            }

            Assert.StartsWith("HTTP/1.1 200", Read(sockets[0]), StringComparison.Ordinal);
            Engine.Stop();
            Assert.False(Engine.IsRunning);
            // It ended by itself, and took nobody's departure for a failure of its own.
            lock (Engine.Log) Assert.DoesNotContain(Engine.Log, line => line.Contains(" error ", StringComparison.Ordinal));
        }
        finally
        {
            foreach (var socket in sockets) socket.Dispose();
        }

        Assert.Equal(0, Engine.ExitCode);
    }

    [Fact]
    public async Task A_thousand_idle_attaches_cost_little_and_all_are_served()
    {
        await StartAsync();
        var id = await CreateAsync("sh", "-c", "read go; echo went; sleep 600");
        var before = Engine.ResidentKilobytes;
        var sockets = new List<Socket>();
        try
        {
            for (var i = 0; i < 1000; i++) sockets.Add(await AttachAsync(id, input: i == 0));
            (await Engine.PostAsync($"/containers/{id}/start")).Ok();
            Assert.Equal(200, (await Engine.GetAsync("/_ping", 20)).Status);
            Assert.InRange(Engine.ResidentKilobytes - before, -100_000, 100 * 1024);
            sockets[0].Send("go\n"u8);
            foreach (var socket in sockets) Assert.Contains("went", Read(socket), StringComparison.Ordinal);
        }
        finally
        {
            foreach (var socket in sockets) socket.Dispose();
        }

        await DescriptorsReturnAsync();
        Assert.True((bool)(await Engine.GetAsync($"/containers/{id}/json")).Json["State"]!["Running"]!);
    }

    [Fact]
    public async Task Hijacked_connections_end_cleanly_however_the_client_leaves()
    {
        await StartAsync();
        // One that half-closes has its input ended and gets the output that follows.
        var id = await CreateAsync("sh", "-c", "cat; echo done");
        using (var socket = await AttachAsync(id, input: true))
        {
            (await Engine.PostAsync($"/containers/{id}/start")).Ok();
            socket.Send("text\n"u8);
            socket.Shutdown(SocketShutdown.Send);
            var text = ReadToEnd(socket);
            Assert.Contains("text", text, StringComparison.Ordinal);
            Assert.Contains("done", text, StringComparison.Ordinal);
        }

        // Others leave at once, in the middle, and with unread output.
        var noisy = await CreateAsync("sh", "-c", "while :; do echo 0123456789012345678901234567890123456789; done");
        (await Engine.PostAsync($"/containers/{noisy}/start")).Ok();
        var before = Engine.ResidentKilobytes;
        for (var i = 0; i < 150; i++)
        {
            using var socket = await AttachAsync(noisy, input: i % 3 == 0);
            if (i % 3 == 1) socket.LingerState = new LingerOption(true, 0);
            if (i % 3 == 2) Read(socket);
        }

        Assert.Equal(200, (await Engine.GetAsync("/_ping", 20)).Status);
        Assert.InRange(Engine.ResidentKilobytes - before, -100_000, 100 * 1024);
        (await Engine.PostAsync($"/containers/{noisy}/kill")).Ok();
        await DescriptorsReturnAsync();
    }

    [Fact]
    public async Task A_full_disk_is_said_clearly_and_what_runs_can_be_ended_and_removed()
    {
        var full = Directory.CreateDirectory(scratch["full"]).FullName;
        Command.Run("mount", "-t", "tmpfs", "-o", "size=32m", "tmpfs", full).Ok();
        await StartAsync(["--data-root", full]);
        var running = await CreateAsync("sleep", "600");
        (await Engine.PostAsync($"/containers/{running}/start")).Ok();
        Command.Shell($"dd if=/dev/zero of={full}/filler bs=4k 2>/dev/null; dd if=/dev/zero of={full}/filler2 bs=1 2>/dev/null; true").Ok();

        var refused = await Engine.PostAsync("/containers/create", Request("true"));
        Assert.Equal(507, refused.Status);
        Assert.Contains("no space left", refused.Text, StringComparison.OrdinalIgnoreCase);
        Assert.Equal(200, (await Engine.GetAsync("/containers/json?all=1", 20)).Status);
        (await Engine.PostAsync($"/containers/{running}/kill")).Ok();
        Assert.Equal(137, (int)(await Engine.GetAsync($"/containers/{running}/json")).Json["State"]!["ExitCode"]!);

        // The next engine comes up on the full disk too, and removal makes room.
        Engine.Kill();
        Engine.Start();
        Assert.Equal(137, (int)(await Engine.GetAsync($"/containers/{running}/json")).Json["State"]!["ExitCode"]!);
        (await Engine.SendAsync("DELETE", $"/containers/{running}?force=1")).Ok();
        File.Delete(full + "/filler");
        File.Delete(full + "/filler2");
        var again = await CreateAsync("true");
        (await Engine.PostAsync($"/containers/{again}/start")).Ok();
        await NoLeaksAsync();
    }

    [Fact]
    public async Task Too_few_descriptors_are_said_clearly_and_the_engine_recovers()
    {
        await StartAsync(prelude: "ulimit -n 200;");
        var id = await CreateAsync("sleep", "600");
        var sockets = new List<Socket>();
        for (var i = 0; i < 400; i++)
        {
            try
            {
                sockets.Add(Engine.Connect());
            }
            catch (SocketException)
            {
                break;
            }
        }

        // Whatever those in the queue wait for, the engine neither ends nor spins.
        await Task.Delay(500);
        var used = CpuTicks();
        await Task.Delay(2000);
        Assert.InRange(CpuTicks() - used, 0, 100);
        foreach (var socket in sockets) socket.Dispose();
        await EventuallyAsync(async () => (await Engine.GetAsync("/_ping", 20)).Status == 200, "the engine to answer again");
        await DescriptorsReturnAsync();
        (await Engine.PostAsync($"/containers/{id}/start")).Ok();
        await NoLeaksAsync();
    }

    [Fact]
    public async Task Too_few_processes_are_said_clearly_and_the_engine_recovers()
    {
        await StartAsync();
        var hierarchy = new[] { "/sys/fs/cgroup/pids", "/sys/fs/cgroup" }.First(path => File.Exists(path + "/cgroup.procs"));
        var cgroup = $"{hierarchy}/hull-pids-{EngineDaemon.RandomName()}";
        Directory.CreateDirectory(cgroup);
        try
        {
            File.WriteAllText(cgroup + "/cgroup.procs", Engine.Pid.ToString(CultureInfo.InvariantCulture));
            var id = await CreateAsync("sleep", "600");
            File.WriteAllText(cgroup + "/pids.max", File.ReadAllText(cgroup + "/pids.current"));
            var refused = await Engine.PostAsync($"/containers/{id}/start");
            Assert.Equal(507, refused.Status);
            Assert.Contains("resource temporarily unavailable", refused.Text, StringComparison.OrdinalIgnoreCase);
            Assert.Equal(200, (await Engine.GetAsync("/_ping", 20)).Status);
            File.WriteAllText(cgroup + "/pids.max", "max");
            (await Engine.PostAsync($"/containers/{id}/start")).Ok();
            await NoLeaksAsync();
        }
        finally
        {
            made!.Dispose();
            made = null;
            await EventuallyAsync(() => Task.FromResult(Command.Run("rmdir", cgroup).ExitCode == 0), "the cgroup to be empty");
        }
    }

    private async Task StartAsync(string[]? arguments = null, string prelude = "")
    {
        BusyboxRoot.Make(scratch["root"]);
        made = new EngineDaemon(arguments, prelude);
        await Task.Run(() => Engine.Import(scratch["root"]));
        descriptors = Descriptors();
    }

    private int descriptors;

    private int Descriptors() => Directory.GetFiles($"/proc/{Engine.Pid}/fd").Length;

    private Task DescriptorsReturnAsync() => EventuallyAsync(() => Task.FromResult(Descriptors() <= descriptors + 20), "the descriptors of lost clients to be closed");

    private Task NoLeaksAsync() => EventuallyAsync(async () => (await Engine.GetAsync("/hull/v1/doctor?leaks=1")).Text.Contains("belongs to a workload", StringComparison.Ordinal), "no leaks");

    private long CpuTicks()
    {
        var fields = File.ReadAllText($"/proc/{Engine.Pid}/stat").Split(')')[1].Split(' ');
        return long.Parse(fields[12], CultureInfo.InvariantCulture) + long.Parse(fields[13], CultureInfo.InvariantCulture);
    }

    private static JsonObject Request(params string[] command) => new()
    {
        ["Image"] = "busybox", ["OpenStdin"] = true, ["StdinOnce"] = true, ["AttachStdin"] = true, ["Cmd"] = new JsonArray([.. command.Select(word => (JsonNode?)word)]),
    };

    private async Task<string> CreateAsync(params string[] command) => (string)(await Engine.PostAsync("/containers/create", Request(command))).Json["Id"]!;

    private async Task<Socket> AttachAsync(string id, bool input)
    {
        var socket = Engine.Connect();
        socket.ReceiveTimeout = 20_000;
        await socket.SendAsync(Encoding.ASCII.GetBytes($"POST /containers/{id}/attach?stream=1&stdout=1{(input ? "&stdin=1" : "")} HTTP/1.1\r\nHost: hull\r\nUpgrade: tcp\r\nConnection: Upgrade\r\nContent-Length: 0\r\n\r\n"));
        // Byte by byte to the end of the header: what follows belongs to the stream.
        var head = new StringBuilder();
        var one = new byte[1];
        while (!head.ToString().EndsWith("\r\n\r\n", StringComparison.Ordinal) && socket.Receive(one) == 1) head.Append((char)one[0]);
        Assert.StartsWith("HTTP/1.1 101", head.ToString(), StringComparison.Ordinal);
        return socket;
    }

    private static string Read(Socket socket)
    {
        var buffer = new byte[4096];
        return Encoding.ASCII.GetString(buffer, 0, socket.Receive(buffer));
    }

    private static string ReadToEnd(Socket socket)
    {
        var text = new StringBuilder();
        while (Read(socket) is { Length: > 0 } more) text.Append(more);
        return text.ToString();
    }

    private async Task EventuallyAsync(Func<Task<bool>> condition, string what)
    {
        var watch = Stopwatch.StartNew();
        while (watch.Elapsed < TimeSpan.FromSeconds(30))
        {
            try
            {
                if (await condition()) return;
            }
            catch (Exception error) when (error is HttpRequestException or OperationCanceledException)
            {
                // Not yet.
            }

            await Task.Delay(100);
        }

        lock (Engine.Log) Assert.Fail($"waited in vain for {what}\n{string.Join('\n', Engine.Log.TakeLast(20))}");
    }
}
