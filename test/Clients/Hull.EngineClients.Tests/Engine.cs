using System.Diagnostics;
using Hull.Testing;

[assembly: AssemblyFixture(typeof(Hull.EngineClients.Tests.Engine))]
[assembly: CollectionBehavior(DisableTestParallelization = true)]

namespace Hull.EngineClients.Tests;

/// <summary>
/// The hulld that all tests share, with an image made of the machine's busybox and, on request, images bootstrapped from
/// Debian's packages.
/// </summary>
public sealed class Engine : IDisposable
{
    private readonly TemporaryDirectory directory = new("hc");
    private readonly Dictionary<string, CommandResult> bootstrapped = [];
    private readonly Daemon daemon;
    private readonly string cgroupParent = "/hull-clients-" + Environment.ProcessId;

    public Engine()
    {
        Require.Root();
        // Packages are kept for the next run.
        var kept = System.IO.Path.Combine(Repository.Root, "out", "test", "bootstrap");
        Directory.CreateDirectory(kept);
        Directory.CreateDirectory(directory["data"]);
        Directory.CreateSymbolicLink(directory["data/bootstrap"], kept);
        daemon = new Daemon(directory["s"], Repository.Executable("hulld"), "-H", "unix://" + directory["s"], "--data-root", directory["data"],
            "--exec-root", directory["run"], "--cgroup-parent", cgroupParent);
        Busybox.Import(arguments => Docker(Client, arguments), directory.Path);
    }

    public string SocketPath => daemon.Socket;

    public string Address => daemon.Address;

    /// <summary>The last that hulld said.</summary>
    public string Log => string.Join('\n', daemon.Log.Split('\n').TakeLast(20));

    public string DataRoot => directory["data"];

    /// <summary>Every client on this machine, each a different release.</summary>
    public static IEnumerable<string> Clients => new[] { "/usr/local/bin/docker", "/usr/bin/docker" }.Where(File.Exists);

    /// <summary>The first of them.</summary>
    public static string Client => Clients.First();

    /// <summary>A file or directory of the tests' own, which goes with the engine.</summary>
    public string Path(string name) => directory[name];

    public CommandResult Docker(string client, params string[] arguments) => Run(client, null, arguments);

    public CommandResult Run(string program, string? input, params string[] arguments) => RunIn(null, program, arguments, input);

    public CommandResult RunIn(string? from, string program, string[] arguments, string? input = null, params (string Name, string? Value)[] environment) =>
        daemon.RunIn(from, program, arguments, input, [("DOCKER_CONFIG", directory["config"]), ("HULL_CONFIG", directory["config"]), .. environment]);

    public Process Serve(string program, params string[] arguments) => daemon.Serve(program, arguments);

    /// <summary>
    /// Makes sure that images of Debian's packages are in the engine's store. Where the packages cannot be fetched, the test
    /// is skipped.
    /// </summary>
    public void Bootstrap(params string[] names)
    {
        Require.Program("mmdebstrap");
        foreach (var name in names)
        {
            if (!bootstrapped.TryGetValue(name, out var made))
                bootstrapped[name] = made = Command.Run(Repository.Executable("hull"), ["image", "bootstrap", "--root", DataRoot, name], null, TimeSpan.FromMinutes(8));
            Require.That(made.ExitCode == 0 || !made.Error.Contains("Unable to fetch", StringComparison.Ordinal), "needs Debian's packages: " + made.Error.Trim());
            made.Ok();
        }
    }

    public void Dispose()
    {
        var all = Docker(Client, "ps", "-aq").Output.Split('\n', StringSplitOptions.RemoveEmptyEntries);
        if (all.Length > 0) Docker(Client, ["rm", "-f", "-v", .. all]);
        daemon.Dispose();
        Daemon.Unmount(directory.Path);
        foreach (var hierarchy in Directory.EnumerateDirectories("/sys/fs/cgroup").Append("/sys/fs/cgroup"))
            if (Directory.Exists(hierarchy + cgroupParent)) Command.Run("rmdir", hierarchy + cgroupParent);
        directory.Dispose();
    }
}
