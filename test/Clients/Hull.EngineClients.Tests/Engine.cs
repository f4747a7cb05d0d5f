using System.Diagnostics;
using System.Net.Sockets;
using Hull.Testing;

namespace Hull.EngineClients.Tests;

/// <summary>A hulld of the tests' own, with an image made of the machine's busybox.</summary>
public sealed class Engine : IDisposable
{
    private const string Applets = "sh echo cat ls sleep true false id ps env touch seq";
    private readonly TemporaryDirectory directory = new("hc");
    private readonly Process daemon;

    public Engine()
    {
        Require.Root();
        // Its networks are in a network namespace that goes with it, and leave the machine's own as it is.
        var start = new ProcessStartInfo("unshare") { RedirectStandardError = true };
        foreach (var argument in new[] { "--net", "sh", "-c", "ip link set lo up; exec \"$0\" \"$@\"", Repository.Executable("hulld"), "-H", Address, "--data-root", directory["data"], "--exec-root", directory["run"], "--cgroup-parent", "/hull-clients-" + Environment.ProcessId })
            start.ArgumentList.Add(argument);
        daemon = Process.Start(start)!;
        daemon.ErrorDataReceived += (_, line) => { lock (Log) Log.Add(line.Data ?? ""); };
        daemon.BeginErrorReadLine();
        WaitForSocket();
        ImportImage();
    }

    public List<string> Log { get; } = [];

    public string SocketPath => directory["s"];

    public string Address => "unix://" + SocketPath;

    public string DataRoot => directory["data"];

    /// <summary>Every client on this machine, each a different release.</summary>
    public static IEnumerable<string> Clients => new[] { "/usr/local/bin/docker", "/usr/bin/docker" }.Where(File.Exists);

    public CommandResult Docker(string client, params string[] arguments) => Run(client, null, arguments);

    public CommandResult Run(string program, string? input, params string[] arguments) => Command.Run(program, arguments, input, TimeSpan.FromSeconds(60),
        new Dictionary<string, string?> { ["DOCKER_HOST"] = Address, ["HULL_HOST"] = Address, ["DOCKER_CONFIG"] = directory["config"], ["HULL_CONFIG"] = directory["config"] });

    public void Dispose()
    {
        foreach (var client in Clients.Take(1))
        {
            var all = Docker(client, "ps", "-aq").Output.Split('\n', StringSplitOptions.RemoveEmptyEntries);
            if (all.Length > 0) Docker(client, ["rm", "-f", "-v", .. all]);
        }

        Command.Run("kill", "-TERM", daemon.Id.ToString(System.Globalization.CultureInfo.InvariantCulture));
        if (!daemon.WaitForExit(20_000)) daemon.Kill();
        daemon.Dispose();
        // Layers stay mounted as long as their store lives.
        foreach (var line in File.ReadLines("/proc/mounts").Reverse())
            if (line.Split(' ')[1] is var mount && mount.StartsWith(directory.Path + "/", StringComparison.Ordinal)) Command.Run("umount", "-l", mount);
        directory.Dispose();
    }

    private void WaitForSocket()
    {
        for (var i = 0; i < 600 && !daemon.HasExited; i++)
        {
            using var probe = new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
            try
            {
                if (File.Exists(SocketPath))
                {
                    probe.Connect(new UnixDomainSocketEndPoint(SocketPath));
                    return;
                }
            }
            catch (SocketException)
            {
                // Not listening yet.
            }

            Thread.Sleep(100);
        }

        lock (Log) throw new InvalidOperationException("hulld did not come up: " + string.Join('\n', Log));
    }

    private void ImportImage()
    {
        var root = directory["root"];
        var busybox = Require.Program("busybox");
        Command.Shell($"mkdir -p {root}/bin {root}/etc {root}/tmp && cp {busybox} {root}/bin/busybox && for a in {Applets}; do ln -s busybox {root}/bin/$a; done"
            + $" && echo root:x:0:0:root:/:/bin/sh > {root}/etc/passwd && echo root:x:0: > {root}/etc/group && tar -C {root} -cf {directory["root.tar"]} .").Ok();
        Docker(Clients.First(), "import", directory["root.tar"], "busybox:latest").Ok();
    }
}
