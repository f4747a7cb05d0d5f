using System.Diagnostics;
using System.Globalization;
using System.Net;
using System.Net.Sockets;
using System.Text;
using System.Text.Json;
using System.Text.Json.Nodes;

namespace Hull.Testing;

/// <summary>An answer of the engine's API.</summary>
public sealed record ApiAnswer(int Status, string Text)
{
    public bool Succeeded => Status is >= 200 and < 400;

    /// <summary>The document; fails the test, with what the engine said, where the request was refused.</summary>
    public JsonNode Json => Succeeded ? JsonNode.Parse(Text)! : throw new InvalidOperationException($"{Status}: {Text}");

    public ApiAnswer Ok() => Succeeded ? this : throw new InvalidOperationException($"{Status}: {Text}");
}

/// <summary>
/// A hulld of the test's own, which can be killed and started again. Its networks are in a network namespace that outlives
/// it and goes with the test.
/// </summary>
public sealed class EngineDaemon : IDisposable
{
    private readonly TemporaryDirectory directory = new("he");
    private readonly Process holder;
    private readonly Func<IEnumerable<string>, ProcessStartInfo> starting;
    private readonly string[] arguments;
    private readonly HttpClient client;
    private Process? daemon;

    /// <param name="arguments">Further arguments of hulld.</param>
    /// <param name="prelude">Shell commands before it, such as <c>ulimit -n 64;</c>.</param>
    /// <param name="prepare">Called with the empty directory before the engine starts.</param>
    public EngineDaemon(string[]? arguments = null, string prelude = "", Action<string>? prepare = null)
    {
        Require.Root();
        this.arguments = arguments ?? [];
        Directory.CreateDirectory(directory["data"]);
        prepare?.Invoke(directory.Path);
        holder = Process.Start(new ProcessStartInfo("unshare") { ArgumentList = { "--net", "sh", "-c", "ip link set lo up; exec sleep infinity" } })!;
        starting = words =>
        {
            var start = new ProcessStartInfo("nsenter") { RedirectStandardError = true };
            foreach (var word in new[] { "-t", holder.Id.ToString(CultureInfo.InvariantCulture), "-n", "sh", "-c", prelude + " exec \"$0\" \"$@\"" }.Concat(words)) start.ArgumentList.Add(word);
            return start;
        };
        client = NewClient();
        while (Command.Run("nsenter", "-t", holder.Id.ToString(CultureInfo.InvariantCulture), "-n", "cat", "/sys/class/net/lo/operstate").ExitCode != 0
            || SameNetwork()) Thread.Sleep(10);
        try
        {
            Start();
        }
        catch
        {
            TakeDown();
            throw;
        }
    }

    public string Path => directory.Path;

    public string SocketPath => directory["s"];

    public string Address => "unix://" + SocketPath;

    public string CgroupParent { get; } = "/hull-test-" + RandomName();

    public int Pid => daemon!.Id;

    /// <summary>How it ended; 137 where it had to be killed.</summary>
    public int ExitCode => daemon!.ExitCode;

    public bool IsRunning => daemon is { HasExited: false };

    /// <summary>Id of a process in the engine's network namespace.</summary>
    public int NetworkPid => holder.Id;

    /// <summary>Bearer token of the requests from now on; null for none.</summary>
    public string? Token { get; set; }

    /// <summary>Everything the engine wrote to its standard error.</summary>
    public List<string> Log { get; } = [];

    /// <summary>Resident memory now, in KiB.</summary>
    public long ResidentKilobytes => long.Parse(File.ReadLines($"/proc/{Pid}/status").First(line => line.StartsWith("VmRSS", StringComparison.Ordinal))
        .Split(' ', StringSplitOptions.RemoveEmptyEntries)[1], CultureInfo.InvariantCulture);

    public static string RandomName() => Guid.NewGuid().ToString("N")[..8];

    public void Start()
    {
        daemon?.Dispose();
        daemon = Process.Start(starting([Repository.Executable("hulld"), "-H", Address, "--data-root", directory["data"], "--exec-root", directory["run"],
            "--cgroup-parent", CgroupParent, .. arguments]))!;
        daemon.ErrorDataReceived += (_, line) => { lock (Log) Log.Add(line.Data ?? ""); };
        daemon.BeginErrorReadLine();
        for (var i = 0; i < 1200; i++)
        {
            if (daemon.HasExited) break;
            if (File.Exists(SocketPath) && Answers()) return;
            Thread.Sleep(25);
        }

        lock (Log) throw new InvalidOperationException("hulld did not come up: " + string.Join('\n', Log.TakeLast(30)));
    }

    /// <summary>kill -9, at once.</summary>
    public void Kill()
    {
        daemon!.Kill();
        daemon.WaitForExit();
    }

    /// <summary>SIGTERM, and waits for the end.</summary>
    public void Stop()
    {
        if (daemon is null || daemon.HasExited) return;
        Command.Run("kill", "-TERM", Pid.ToString(CultureInfo.InvariantCulture));
        if (!daemon.WaitForExit(30_000)) daemon.Kill();
    }

    public Task<ApiAnswer> GetAsync(string path, int seconds = 60) => SendAsync("GET", path, null, seconds);

    public Task<ApiAnswer> PostAsync(string path, JsonNode? body = null, int seconds = 60) =>
        SendAsync("POST", path, body is null ? null : new StringContent(body.ToJsonString(), Encoding.UTF8, "application/json"), seconds);

    public async Task<ApiAnswer> SendAsync(string method, string path, HttpContent? content = null, int seconds = 60)
    {
        using var limit = new CancellationTokenSource(TimeSpan.FromSeconds(seconds));
        using var request = new HttpRequestMessage(new HttpMethod(method), "http://hull" + path) { Content = content };
        if (Token is not null) request.Headers.Authorization = new System.Net.Http.Headers.AuthenticationHeaderValue("Bearer", Token);
        using var answer = await client.SendAsync(request, limit.Token);
        return new ApiAnswer((int)answer.StatusCode, await answer.Content.ReadAsStringAsync(limit.Token));
    }

    /// <summary>A connection with nothing sent on it.</summary>
    public Socket Connect()
    {
        var socket = new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
        socket.Connect(new UnixDomainSocketEndPoint(SocketPath));
        return socket;
    }

    /// <summary>Makes the image <c>busybox:latest</c> of a directory.</summary>
    public void Import(string root)
    {
        Command.Shell($"tar -C '{root}' -cf '{directory["root.tar"]}' .").Ok();
        using var archive = File.OpenRead(directory["root.tar"]);
        SendAsync("POST", "/images/create?fromSrc=-&repo=busybox&tag=latest", new StreamContent(archive)).GetAwaiter().GetResult().Ok();
    }

    /// <summary>Runs a program of Hull's or Docker's against this engine.</summary>
    public CommandResult Run(string program, params string[] words) => Command.Run(program, words, null, TimeSpan.FromSeconds(60),
        new Dictionary<string, string?> { ["DOCKER_HOST"] = Address, ["HULL_HOST"] = Address, ["DOCKER_CONFIG"] = directory["config"], ["HULL_CONFIG"] = directory["config"] });

    public CommandResult Hull(params string[] words) => Run(Repository.Executable("hull"), words);

    public CommandResult InNetwork(params string[] words) =>
        Command.Run("nsenter", ["-t", holder.Id.ToString(CultureInfo.InvariantCulture), "-n", .. words]);

    public void Dispose()
    {
        try
        {
            if (!IsRunning) Start();
            foreach (var workload in GetAsync("/containers/json?all=1").GetAwaiter().GetResult().Json.AsArray())
                SendAsync("DELETE", $"/containers/{workload!["Id"]}?force=1&v=1").GetAwaiter().GetResult();
        }
        catch (Exception error) when (error is InvalidOperationException or HttpRequestException or OperationCanceledException or JsonException)
        {
            // A test that broke its engine has said so already.
        }

        TakeDown();
    }

    private void TakeDown()
    {
        Stop();
        daemon?.Dispose();
        holder.Kill();
        holder.WaitForExit();
        holder.Dispose();
        client.Dispose();
        // Layers stay mounted as long as their store lives.
        foreach (var line in File.ReadLines("/proc/mounts").Reverse())
            if (line.Split(' ')[1] is var mount && mount.StartsWith(directory.Path + "/", StringComparison.Ordinal)) Command.Run("umount", "-l", mount);
        foreach (var hierarchy in Directory.EnumerateDirectories("/sys/fs/cgroup").Append("/sys/fs/cgroup"))
            if (Directory.Exists(hierarchy + CgroupParent)) Command.Run("rmdir", hierarchy + CgroupParent);
        directory.Dispose();
    }

    private bool SameNetwork() => new FileInfo("/proc/self/ns/net").LinkTarget == new FileInfo($"/proc/{holder.Id}/ns/net").LinkTarget;

    private bool Answers()
    {
        try
        {
            return GetAsync("/_ping", 20).GetAwaiter().GetResult().Status == (int)HttpStatusCode.OK;
        }
        catch (Exception error) when (error is HttpRequestException or SocketException or OperationCanceledException)
        {
            return false;
        }
    }

    private HttpClient NewClient() => new(new SocketsHttpHandler
    {
        ConnectCallback = async (_, cancellation) =>
        {
            var socket = new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
            try
            {
                await socket.ConnectAsync(new UnixDomainSocketEndPoint(SocketPath), cancellation);
                return new NetworkStream(socket, ownsSocket: true);
            }
            catch
            {
                socket.Dispose();
                throw;
            }
        },
    }) { Timeout = Timeout.InfiniteTimeSpan };
}
