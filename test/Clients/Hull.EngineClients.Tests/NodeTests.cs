using Hull.Testing;

namespace Hull.EngineClients.Tests;

/// <summary>The Node clients: Testcontainers, and dockerode, on which it and many tools stand.</summary>
public sealed class NodeTests(Engine engine)
{
    private static readonly string Sources = Path.Combine(Repository.Root, "test/Clients/Hull.EngineClients.Tests/Node");

    [Fact]
    public void TestcontainersStartsWaitsReadsAndStops()
    {
        Install();
        engine.Bootstrap("redis", "nginx");
        // Without its reaper, whose image is on Docker Hub only. The host is named because Testcontainers, where it runs
        // in a container itself, takes the gateway for it.
        var result = Node("testcontainers.js", ("TESTCONTAINERS_RYUK_DISABLED", "true"), ("TESTCONTAINERS_HOST_OVERRIDE", "127.0.0.1"));
        Assert.EndsWith("done\n", result.Ok().Output, StringComparison.Ordinal);
    }

    [Fact]
    public void DockerodeDoesEverything()
    {
        Install();
        using var registry = Registry.Start(engine);
        engine.Docker(Engine.Client, "tag", "busybox", registry.Address + "/busybox").Ok();
        engine.Docker(Engine.Client, "push", registry.Address + "/busybox").Ok();
        engine.Docker(Engine.Client, "rmi", registry.Address + "/busybox").Ok();
        Assert.EndsWith("done\n", Node("dockerode.js", ("IMAGE", registry.Address + "/busybox:latest")).Ok().Output, StringComparison.Ordinal);
    }

    private CommandResult Node(string script, params (string, string?)[] environment)
    {
        var place = Path.Combine(Installed, script);
        File.Copy(Path.Combine(Sources, script), place, overwrite: true);
        return engine.RunIn(Installed, "node", [place], null, environment);
    }

    private static string Installed => Path.Combine(Repository.Root, "out", "test", "node");

    /// <summary>Installs the clients by npm, once; they are kept for the next run.</summary>
    private static void Install()
    {
        Require.Program("node");
        var npm = Require.Program("npm");
        Directory.CreateDirectory(Installed);
        var (wanted, have) = (Path.Combine(Sources, "package.json"), Path.Combine(Installed, "package.json"));
        if (File.Exists(have) && File.ReadAllText(have) == File.ReadAllText(wanted) && Directory.Exists(Path.Combine(Installed, "node_modules", "testcontainers"))) return;
        File.Copy(wanted, have, overwrite: true);
        var install = Command.Run(npm, ["install", "--no-audit", "--no-fund", "--ignore-scripts", "--no-package-lock"], null, TimeSpan.FromMinutes(3), null, Installed);
        if (install.ExitCode == 0) return;
        File.Delete(have);
        Assert.Skip("npm cannot install the clients: " + install.Error.Trim());
    }
}
