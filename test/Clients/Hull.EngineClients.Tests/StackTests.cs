using Hull.Testing;

namespace Hull.EngineClients.Tests;

/// <summary>docker-compose 1.29 with a stack of three real services: nginx before a Python application before Redis.</summary>
public sealed class StackTests(Engine engine)
{
    private static readonly string Place = Path.Combine(Repository.Root, "test/Clients/Hull.EngineClients.Tests/Stack");

    [Fact]
    public void AStackGoesUpIsScaledUsedAndTakenDown()
    {
        Require.Program("docker-compose");
        engine.Bootstrap("nginx", "python", "redis");
        Compose("up", "-d");
        try
        {
            Assert.Contains("(healthy)", Compose("ps").Output, StringComparison.Ordinal);
            var address = "http://" + Compose("port", "web", "80").Trimmed;
            Assert.StartsWith("http://127.0.0.1:", address, StringComparison.Ordinal);
            var (first, one) = Visit(address);
            var (again, two) = Visit(address);
            Assert.Equal((first, one + 1), (again, two));

            Compose("up", "-d", "--scale", "app=2");
            // nginx asks for the addresses of a name when it reads its configuration.
            Compose("exec", "-T", "web", "nginx", "-s", "reload");
            var seen = new HashSet<string>();
            for (var i = 0; i < 100 && seen.Count < 2; i++) seen.Add(Visit(address).Host);
            Assert.Equal(2, seen.Count);

            Assert.Equal(seen, Names(1).Concat(Names(2)).ToHashSet());
            Assert.Contains("GET / HTTP", Compose("logs", "--no-color", "app").Output, StringComparison.Ordinal);
            Assert.Contains("redis-server", Compose("top", "store").Output, StringComparison.Ordinal);
            Compose("restart", "web");
            address = "http://" + Compose("port", "web", "80").Trimmed;
            var (_, before) = Until(() => Visit(address));
            Compose("stop", "store");
            Compose("start", "store");
            var (_, after) = Until(() => Visit(address));
            Assert.InRange(after, 1, before + 100);
            Compose("pause", "app");
            Assert.Contains("Paused", Compose("ps").Output, StringComparison.Ordinal);
            Compose("unpause", "app");
            Assert.Equal("42\n", Compose("run", "--rm", "app", "python3", "-c", "print(6 * 7)").Output);
        }
        finally
        {
            Compose("down", "-v", "-t", "5");
        }

        Assert.DoesNotContain("stack_", engine.Docker(Engine.Client, "ps", "-a", "--format", "{{.Names}}").Ok().Output, StringComparison.Ordinal);
        Assert.DoesNotContain("stack_", engine.Docker(Engine.Client, "volume", "ls", "-q").Ok().Output, StringComparison.Ordinal);
        Assert.DoesNotContain("stack_", engine.Docker(Engine.Client, "network", "ls", "--format", "{{.Name}}").Ok().Output, StringComparison.Ordinal);
    }

    /// <summary>The store has a volume and one network; the application two networks, a file of the host and a health check.</summary>
    [Theory]
    [InlineData("store", "redis")]
    [InlineData("app", "python")]
    public void AServiceBecomesAVirtualMachineByOneLine(string service, string image)
    {
        Require.Program("docker-compose");
        Require.Program("qemu-system-x86_64");
        GuestKernel.Provide(engine.DataRoot);
        engine.Bootstrap("nginx", "python", "redis");
        var place = engine.Path("stack-" + service);
        Directory.CreateDirectory(place);
        foreach (var file in Directory.GetFiles(Place)) File.Copy(file, Path.Combine(place, Path.GetFileName(file)), overwrite: true);
        var document = Path.Combine(place, "docker-compose.yml");
        File.WriteAllText(document, File.ReadAllText(document).Replace($"    image: {image}\n", $"    image: {image}\n    isolation: vm\n", StringComparison.Ordinal));
        var project = "vm" + service;
        try
        {
            ComposeIn(place, project, "up", "-d");
            var address = "http://" + ComposeIn(place, project, "port", "web", "80").Trimmed;
            var (host, one) = Until(() => Visit(address));
            Assert.Equal((host, one + 1), Visit(address));
            Assert.Equal(host, ComposeIn(place, project, "exec", "-T", "app", "hostname").Trimmed);
            Assert.NotEqual(Release("web"), Release(service));
            Assert.Equal(Release("web"), Release(service == "app" ? "store" : "app"));
            Assert.Contains(service == "app" ? "GET / HTTP" : "Ready to accept", ComposeIn(place, project, "logs", "--no-color", service).Output, StringComparison.Ordinal);
            ComposeIn(place, project, "restart", service);
            // It has another address now, for which nginx asks when it reads its configuration.
            ComposeIn(place, project, "exec", "-T", "web", "nginx", "-s", "reload");
            Assert.InRange(Until(() => Visit(address)).Visits, one + 2, one + 100);
        }
        catch (Exception failure) when (failure is InvalidOperationException or TimeoutException)
        {
            throw new InvalidOperationException($"{failure.Message}\n{State(project)}", failure);
        }
        finally
        {
            ComposeIn(place, project, "down", "-v", "-t", "5");
        }

        string Release(string of) => ComposeIn(place, project, "exec", "-T", of, "cat", "/proc/version").Trimmed;
    }

    [Fact]
    public void PostgresMakesItsDatabaseOnceAndKeepsIt()
    {
        engine.Bootstrap("postgres");
        Assert.NotEqual(0, engine.Docker(Engine.Client, "run", "--rm", "postgres").ExitCode);
        Directory.CreateDirectory(engine.Path("scripts"));
        File.WriteAllText(engine.Path("scripts/table.sql"), "CREATE TABLE kept (word text); INSERT INTO kept VALUES ('from the script');");
        engine.Docker(Engine.Client, "run", "-d", "--name", "pg", "-e", "POSTGRES_PASSWORD=secret", "-e", "POSTGRES_DB=shop",
            "-v", engine.Path("scripts") + ":/docker-entrypoint-initdb.d:ro", "postgres", "-c", "max_connections=20").Ok();
        string Ask(string query) => engine.Docker(Engine.Client, "exec", "-e", "PGPASSWORD=secret", "pg",
            "psql", "-h", "127.0.0.1", "-U", "postgres", "-d", "shop", "-Atc", query).Ok().Trimmed;
        Assert.Equal("from the script", Until(() => Ask("SELECT word FROM kept")));
        Assert.Equal("20", Ask("SHOW max_connections"));
        Assert.Equal("postgres", engine.Docker(Engine.Client, "exec", "pg", "id", "-un").Ok().Trimmed);
        Ask("INSERT INTO kept VALUES ('later')");
        engine.Docker(Engine.Client, "restart", "pg").Ok();
        Assert.Equal("2", Until(() => Ask("SELECT count(*) FROM kept")));
        engine.Docker(Engine.Client, "rm", "-f", "-v", "pg").Ok();
    }

    [Fact]
    public void AnImageMadeAgainHasTheSameDigest()
    {
        engine.Bootstrap("redis");
        string Id() => engine.Docker(Engine.Client, "images", "-q", "--no-trunc", "redis").Ok().Trimmed;
        var first = Id();
        Command.Run(Repository.Executable("hull"), ["image", "bootstrap", "--root", engine.DataRoot, "redis"], null, TimeSpan.FromMinutes(4)).Ok();
        Assert.Equal(first, Id());
    }

    private CommandResult Compose(params string[] arguments) => engine.RunIn(Place, "docker-compose",
        ["-p", "stack", .. arguments]).Ok();

    private CommandResult ComposeIn(string place, string project, params string[] arguments) =>
        engine.RunIn(place, "docker-compose", ["-p", project, .. arguments]).Ok();

    /// <summary>What is to be known of a stack that does not do what it should.</summary>
    private string State(string project)
    {
        var names = engine.Docker(Engine.Client, "ps", "-a", "--filter", "label=com.docker.compose.project=" + project, "--format", "{{.Names}}").Output
            .Split('\n', StringSplitOptions.RemoveEmptyEntries);
        return string.Join('\n', names.Select(name => $"{name}: {engine.Docker(Engine.Client, "inspect", "-f", "{{json .State}}", name).Trimmed}\n"
            + engine.Docker(Engine.Client, "logs", "--tail", "20", name).Output)) + "\n" + engine.Log;
    }

    private (string Host, int Visits) Visit(string address)
    {
        var answer = engine.RunIn(null, "curl", ["--silent", "--show-error", "--fail", "--max-time", "10", address]).Ok().Trimmed.Split(' ');
        return (answer[0], int.Parse(answer[1], System.Globalization.CultureInfo.InvariantCulture));
    }

    private string[] Names(int index) => [Compose("exec", "-T", "--index=" + Daemon.Number(index), "app", "hostname").Trimmed];

    /// <summary>A service that starts refuses for a moment, and for longer on a busy machine.</summary>
    private static T Until<T>(Func<T> attempt)
    {
        var watch = System.Diagnostics.Stopwatch.StartNew();
        while (true)
        {
            try
            {
                return attempt();
            }
            catch (InvalidOperationException) when (watch.Elapsed < TimeSpan.FromSeconds(60))
            {
                Thread.Sleep(100);
            }
        }
    }
}
