using System.Diagnostics;
using System.Net.Sockets;
using Hull.Testing;

namespace Hull.EngineClients.Tests;

/// <summary>
/// A hulld in a network namespace that goes with it and leaves the machine's own as it is. Clients run in there too:
/// published ports are reachable there, on loopback.
/// </summary>
public sealed class Daemon : IDisposable
{
    private readonly Process process;
    private readonly List<string> log = [];

    /// <summary>Starts a command that ends up serving at a socket.</summary>
    public Daemon(string socket, params string[] command)
    {
        Socket = socket;
        process = Process.Start(new ProcessStartInfo("unshare", ["--net", "sh", "-c", "ip link set lo up; exec \"$0\" \"$@\"", .. command]) { RedirectStandardError = true })!;
        process.ErrorDataReceived += (_, line) => { lock (log) log.Add(line.Data ?? ""); };
        process.BeginErrorReadLine();
        if (!Until(() => process.HasExited || IsServed()) || process.HasExited) throw new InvalidOperationException("hulld did not come up: " + Log);
    }

    public string Socket { get; }

    public string Address => "unix://" + Socket;

    public string Log
    {
        get { lock (log) return string.Join('\n', log); }
    }

    public bool Said(string text) => Log.Contains(text, StringComparison.Ordinal);

    /// <summary>Runs a client that finds this engine by its environment.</summary>
    public CommandResult Run(string program, string[] arguments, string? input = null, params (string Name, string? Value)[] environment) =>
        RunIn(null, program, arguments, input, environment);

    public CommandResult RunIn(string? from, string program, string[] arguments, string? input = null, params (string Name, string? Value)[] environment)
    {
        var all = new Dictionary<string, string?> { ["DOCKER_HOST"] = Address, ["HULL_HOST"] = Address };
        foreach (var (name, value) in environment) all[name] = value;
        return Command.Run("nsenter", ["--target", Number(process.Id), "--net", program, .. arguments], input, TimeSpan.FromSeconds(90), all, from);
    }

    /// <summary>Starts a program that serves something in the engine's network namespace.</summary>
    public Process Serve(string program, params string[] arguments) =>
        Process.Start(new ProcessStartInfo("nsenter", ["--target", Number(process.Id), "--net", program, .. arguments]) { RedirectStandardError = true })!;

    public void Signal(string name) => Command.Run("kill", "-" + name, Number(process.Id)).Ok();

    /// <summary>Waits, at most a minute.</summary>
    public bool Until(Func<bool> condition)
    {
        for (var i = 0; i < 600; i++)
        {
            if (condition()) return true;
            Thread.Sleep(100);
        }

        return false;
    }

    /// <summary>Once more while it fails: what answers may have to come up first.</summary>
    public CommandResult Retry(Func<CommandResult> attempt)
    {
        CommandResult result = attempt();
        for (var i = 0; i < 50 && result.ExitCode != 0; i++)
        {
            Thread.Sleep(200);
            result = attempt();
        }

        return result;
    }

    public void Dispose()
    {
        Command.Run("kill", "-TERM", Number(process.Id));
        if (!process.WaitForExit(20_000)) process.Kill();
        process.Dispose();
    }

    /// <summary>Layers stay mounted as long as their store lives.</summary>
    public static void Unmount(string directory)
    {
        foreach (var line in File.ReadLines("/proc/mounts").Reverse())
            if (line.Split(' ')[1] is var mount && mount.StartsWith(directory + "/", StringComparison.Ordinal)) Command.Run("umount", "-l", mount);
    }

    public static string Number(long number) => number.ToString(System.Globalization.CultureInfo.InvariantCulture);

    private bool IsServed()
    {
        if (!File.Exists(Socket)) return false;
        // systemd-socket-activate takes the first connection for the one to start its program with.
        using var probe = new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
        try
        {
            probe.Connect(new UnixDomainSocketEndPoint(Socket));
            return true;
        }
        catch (SocketException)
        {
            return false;
        }
    }
}
