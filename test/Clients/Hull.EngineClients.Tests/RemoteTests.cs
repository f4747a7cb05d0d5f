using Hull.Testing;

namespace Hull.EngineClients.Tests;

/// <summary>
/// One engine that systemd's way of passing sockets starts at the first request, reached over TCP with mutual TLS and
/// over ssh, with its configuration read again and its metrics scraped.
/// </summary>
public sealed class RemoteTests : IDisposable
{
    private const string Tcp = "tcp://127.0.0.1:2376";
    private const string Metrics = "127.0.0.1:9323";
    private readonly TemporaryDirectory directory = new("hcs");
    private readonly Daemon daemon;

    public RemoteTests()
    {
        Require.Root();
        var activate = Require.Program("systemd-socket-activate");
        Certificates.Write(directory["certs"]);
        Certificates.Write(directory["others"]);
        Configure("\"log-level\": \"info\"");
        daemon = new Daemon(directory["s"], activate, "--listen", directory["s"], Repository.Executable("hulld"), "-H", "fd://", "-H", Tcp,
            "--tlsverify", "--tlscacert", directory["certs/ca.pem"], "--tlscert", directory["certs/server-cert.pem"], "--tlskey", directory["certs/server-key.pem"],
            "--metrics-addr", Metrics, "--config-file", directory["hulld.json"], "--data-root", directory["data"], "--exec-root", directory["run"],
            "--cgroup-parent", "/hull-remote-" + Environment.ProcessId);
    }

    public void Dispose()
    {
        daemon.Dispose();
        Daemon.Unmount(directory.Path);
        directory.Dispose();
    }

    [Fact]
    public void TheEngineIsReachedFromAfarByWhomItKnowsOnly()
    {
        // The first request starts it.
        var first = Docker("version", "-f", "{{.Server.Version}}");
        Assert.True(first.ExitCode == 0, first.Error + daemon.Log);
        Busybox.Import(arguments => Docker(arguments), directory.Path);
        CertificatesAreTheKey();
        StreamsPassThroughTls();
        StreamsPassThroughSsh();
        SettingsAreReadAgain();
        MetricsAreAlone();
    }

    private void CertificatesAreTheKey()
    {
        Assert.Equal("hi\n", OverTls("certs/", ["run", "--rm", "--network", "none", "busybox", "echo", "hi"]).Ok().Output);
        // Another authority's certificate, a server's, none, and no TLS at all.
        Assert.NotEqual(0, OverTls("others/", ["version"]).ExitCode);
        Assert.NotEqual(0, OverTls("certs/server-", ["version"]).ExitCode);
        Assert.NotEqual(0, Docker("-H", Tcp, "--tls", "--tlscacert", directory["certs/ca.pem"], "--tlscert", "", "--tlskey", "", "version").ExitCode);
        Assert.NotEqual(0, Docker("-H", Tcp, "version").ExitCode);
        var bare = daemon.Run("curl", ["--silent", "--cacert", directory["certs/ca.pem"], "https://127.0.0.1:2376/_ping"]);
        Assert.NotEqual(0, bare.ExitCode);
        Assert.Equal("", bare.Output);
        Assert.Equal("", daemon.Run("curl", ["--silent", "http://127.0.0.1:2376/_ping"]).Output);
        Assert.Equal("OK", daemon.Run("curl", ["--silent", "--cacert", directory["certs/ca.pem"], "--cert", directory["certs/cert.pem"], "--key", directory["certs/key.pem"],
            "https://127.0.0.1:2376/_ping"]).Ok().Output);
    }

    private void StreamsPassThroughTls()
    {
        Assert.Equal("typed", OverTls("certs/", ["run", "-i", "--rm", "--network", "none", "busybox", "cat"], "typed").Ok().Output);
        string[] hull = ["-H", Tcp, "--tlsverify", "--tlscacert", directory["certs/ca.pem"], "--tlscert", directory["certs/cert.pem"], "--tlskey", directory["certs/key.pem"]];
        Assert.Equal("typed", Hull("typed", [.. hull, "run", "-i", "--rm", "--network", "none", "busybox", "cat"]).Ok().Output);
        Assert.Equal(6, Hull(null, [.. hull, "run", "--rm", "--network", "none", "busybox", "sh", "-c", "exit 6"]).ExitCode);
        Assert.NotEqual(0, Hull(null, "-H", Tcp, "ps").ExitCode);
    }

    /// <summary>By a real sshd: docker's client asks the far end's docker to relay, hull's the far end's hull.</summary>
    private void StreamsPassThroughSsh()
    {
        if (!File.Exists("/usr/sbin/sshd")) return;
        Command.Shell($"cd {directory.Path} && ssh-keygen -q -t ed25519 -N '' -f host && ssh-keygen -q -t ed25519 -N '' -f user && mkdir -p bin /run/sshd").Ok();
        File.WriteAllText(directory["sshd_config"], $"""
            ListenAddress 127.0.0.1:2222
            HostKey {directory["host"]}
            AuthorizedKeysFile {directory["user.pub"]}
            PasswordAuthentication no
            StrictModes no
            UsePAM no
            PidFile none
            SetEnv PATH={Path.GetDirectoryName(Repository.Executable("hull"))}:/usr/local/bin:/usr/bin:/bin HULL_HOST=unix://{directory["s"]} DOCKER_HOST=unix://{directory["s"]}
            """);
        File.WriteAllText(directory["bin/ssh"], $"#!/bin/sh\nexec /usr/bin/ssh -F none -i {directory["user"]} -o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null -o LogLevel=ERROR \"$@\"\n");
        File.SetUnixFileMode(directory["bin/ssh"], (UnixFileMode)0x1ED /* 0755 */);
        using var server = daemon.Serve("/usr/sbin/sshd", "-D", "-e", "-f", directory["sshd_config"]);
        try
        {
            (string, string?) path = ("PATH", directory["bin"] + ":" + Environment.GetEnvironmentVariable("PATH"));
            const string Far = "ssh://root@127.0.0.1:2222";
            var docker = daemon.Retry(() => daemon.Run(Engine.Client, ["-H", Far, "run", "-i", "--rm", "--network", "none", "busybox", "cat"], "typed", path));
            Assert.Equal("typed", docker.Ok().Output);
            Assert.Equal("typed", daemon.Run(Repository.Executable("hull"), ["-H", Far, "run", "-i", "--rm", "--network", "none", "busybox", "cat"], "typed", path).Ok().Output);
        }
        finally
        {
            server.Kill();
            server.WaitForExit(5000);
        }
    }

    private void SettingsAreReadAgain()
    {
        string Insecure() => Docker("info", "-f", "{{json .RegistryConfig.IndexConfigs}}{{json .RegistryConfig.Mirrors}}").Ok().Output;
        Assert.DoesNotContain("mirror.example", Insecure(), StringComparison.Ordinal);
        Configure("\"registry-mirrors\": [\"https://mirror.example\"]");
        daemon.Signal("HUP");
        Assert.True(daemon.Until(() => Insecure().Contains("mirror.example", StringComparison.Ordinal)), "the mirror of the new configuration is not used");
        // A file that cannot be read changes nothing.
        File.WriteAllText(directory["hulld.json"], "{ nonsense");
        daemon.Signal("HUP");
        Assert.True(daemon.Until(() => daemon.Said("configuration not read again")), "the broken configuration is not complained of");
        Assert.Contains("mirror.example", Insecure(), StringComparison.Ordinal);
    }

    private void MetricsAreAlone()
    {
        var page = daemon.Run("curl", ["--silent", "--fail", $"http://{Metrics}/metrics"]).Ok().Output;
        Assert.Contains("hull_engine_info{", page, StringComparison.Ordinal);
        Assert.Contains("# TYPE hull_workloads gauge", page, StringComparison.Ordinal);
        Assert.NotEqual(0, daemon.Run("curl", ["--silent", "--fail", $"http://{Metrics}/containers/json"]).ExitCode);
    }

    private void Configure(string setting) => File.WriteAllText(directory["hulld.json"], "{" + setting + "}");

    private CommandResult Docker(params string[] arguments) => daemon.Run(Engine.Client, arguments, null, ("DOCKER_CONFIG", directory["config"]));

    private CommandResult Hull(string? input, params string[] arguments) => daemon.Run(Repository.Executable("hull"), arguments, input, ("HULL_CONFIG", directory["config"]));

    private CommandResult OverTls(string identity, string[] arguments, string? input = null) => daemon.Run(Engine.Client,
        ["-H", Tcp, "--tlsverify", "--tlscacert", directory["certs/ca.pem"], "--tlscert", directory[identity + "cert.pem"], "--tlskey", directory[identity + "key.pem"], .. arguments],
        input, ("DOCKER_CONFIG", directory["config"]));
}
