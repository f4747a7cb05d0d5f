using System.Text.Json.Nodes;
using Hull.InstanceContract.Tests;
using Hull.Testing;

namespace Hull.EngineClients.Tests;

/// <summary>Options of dockerd: those that work do, the others say why not.</summary>
public sealed class DaemonOptionTests : IDisposable
{
    private readonly TemporaryDirectory scratch = new("options");

    /// <summary>Keys without a meaning here, each with a value that changes nothing and one that would have to do something.</summary>
    private static readonly Dictionary<string, (string Harmless, string Refused)> s_foreign = new()
    {
        ["allow-direct-routing"] = ("false", "true"),
        ["allow-nondistributable-artifacts"] = ("[]", """["registry.example"]"""),
        ["api-cors-header"] = ("\"\"", "\"*\""),
        ["authorization-plugins"] = ("[]", """["opa"]"""),
        ["builder"] = ("{}", """{"gc":{"enabled":true}}"""),
        ["cdi-spec-dirs"] = ("[]", """["/etc/cdi"]"""),
        ["containerd"] = ("\"\"", "\"/run/containerd/containerd.sock\""),
        ["containerd-namespace"] = ("\"moby\"", "\"other\""),
        ["containerd-plugins-namespace"] = ("\"plugins.moby\"", "\"other\""),
        ["cri-containerd"] = ("false", "true"),
        ["cpu-rt-period"] = ("0", "1000000"),
        ["cpu-rt-runtime"] = ("0", "950000"),
        ["default-network-opts"] = ("{}", """{"bridge":{"com.docker.network.driver.mtu":"1400"}}"""),
        ["firewall-backend"] = ("\"nftables\"", "\"iptables\""),
        ["host-gateway-ips"] = ("[]", """["10.0.0.1","fd00::1"]"""),
        ["ip-forward-no-drop"] = ("true", "false"),
        ["network-control-plane-mtu"] = ("1500", "1400"),
        ["network-diagnostic-port"] = ("0", "2000"),
        ["node-generic-resources"] = ("[]", """["gpu=1"]"""),
        ["rootless"] = ("false", "true"),
        ["selinux-enabled"] = ("false", "true"),
        ["storage-opts"] = ("[]", """["overlay2.size=10G"]"""),
        ["swarm-default-advertise-addr"] = ("\"\"", "\"eth0\""),
        ["userland-proxy-path"] = ("\"\"", "\"/usr/bin/docker-proxy\""),
        ["ip6tables"] = ("true", "false"),
        ["exec-opts"] = ("""["native.cgroupdriver=cgroupfs"]""", """["native.cgroupdriver=systemd"]"""),
    };

    [Fact]
    public void Options_without_a_meaning_are_taken_only_where_they_change_nothing()
    {
        Assert.Contains("configuration OK", Validate("{" + string.Join(',', s_foreign.Select(pair => $"\"{pair.Key}\":{pair.Value.Harmless}"))
            + ""","live-restore":true,"userland-proxy":false,"raw-logs":true,"experimental":false}""").Ok().Output);
        foreach (var (key, (_, refused)) in s_foreign)
        {
            var result = Validate($"{{\"{key}\":{refused}}}");
            Assert.NotEqual(0, result.ExitCode);
            Assert.Contains(key, result.Error);
        }
    }

    [Theory]
    [InlineData("""{"selinux":true}""", "selinux")]
    [InlineData("""{"max-concurrent-downloads":0}""", "max-concurrent-downloads")]
    [InlineData("""{"default-ipc-mode":"host"}""", "default-ipc-mode")]
    [InlineData("""{"default-cgroupns-mode":"none"}""", "default-cgroupns-mode")]
    [InlineData("""{"oom-score-adjust":2000}""", "oom-score-adjust")]
    [InlineData("""{"init-path":"/nowhere/init"}""", "init-path")]
    [InlineData("""{"fixed-cidr":"10.0.0.0"}""", "fixed-cidr")]
    [InlineData("""{"default-gateway":"router"}""", "default-gateway")]
    [InlineData("""{"userns-remap":"a:b:c"}""", "userns-remap")]
    public void What_is_wrong_is_named(string config, string key)
    {
        var result = Validate(config);
        Assert.NotEqual(0, result.ExitCode);
        Assert.Contains(key, result.Error);
    }

    [Fact]
    public void Flags_are_held_to_the_same()
    {
        var hulld = Repository.Executable("hulld");
        Command.Run(hulld, "--validate", "--selinux-enabled=false", "--storage-opt", "", "--exec-opt", "native.cgroupdriver=cgroupfs", "--rootless=false").Ok();
        var refused = Command.Run(hulld, "--validate", "--selinux-enabled");
        Assert.NotEqual(0, refused.ExitCode);
        Assert.Contains("selinux-enabled", refused.Error);
    }

    [Fact]
    public void The_default_bridge_is_as_the_options_say()
    {
        using var engine = Start("--bip", "10.77.0.9/24", "--fixed-cidr", "10.77.0.192/29", "--default-gateway", "10.77.0.193", "--ipv6",
            "--fixed-cidr-v6", "fd00:77::/64", "--default-gateway-v6", "fd00:77::99", "--ip-masq=false", "--icc=false", "--mtu", "1400",
            "--dns", "10.77.0.53", "--dns-search", "example", "--dns-opt", "ndots:3", "--default-address-pool", "base=10.78.0.0/16,size=24");
        var seen = new List<string>();
        for (var i = 0; i < 7; i++)
        {
            var text = Run(engine, "run", "--rm", "busybox", "sh", "-c",
                "ip -4 addr show eth0 | grep -o '10[.0-9]*/24' && ip route | grep -o 'via [.0-9]*' && ip -6 route | grep -o 'via fd[:0-9a-f]*' && cat /sys/class/net/eth0/mtu");
            Assert.Equal(["via 10.77.0.193", "via fd00:77::99", "1400"], text.Split('\n')[1..]);
            seen.Add(text.Split('\n')[0]);
        }

        Assert.Equal(["10.77.0.192/24", .. Enumerable.Range(194, 6).Select(last => $"10.77.0.{last}/24")], seen.Order(StringComparer.Ordinal));
        Assert.Contains("10.77.0.9/24", engine.InNetwork("ip", "-4", "addr").Ok().Output);
        Assert.Equal("10.77.0.0/24 10.77.0.9 10.77.0.192/29 false false", Run(engine, "network", "inspect", "bridge", "--format",
            "{{with index .IPAM.Config 0}}{{.Subnet}} {{.Gateway}} {{.IPRange}}{{end}} {{index .Options \"com.docker.network.bridge.enable_ip_masquerade\"}} {{index .Options \"com.docker.network.bridge.enable_icc\"}}"));
        var resolver = Run(engine, "run", "--rm", "busybox", "cat", "/etc/resolv.conf");
        Assert.Contains("nameserver 10.77.0.53", resolver);
        Assert.Contains("search example", resolver);
        Assert.Contains("ndots:3", resolver);
        Run(engine, "network", "create", "pooled");
        Assert.Equal("10.78.0.0/24", Run(engine, "network", "inspect", "pooled", "--format", "{{(index .IPAM.Config 0).Subnet}}"));
    }

    [Fact]
    public void A_range_alone_is_the_default_bridges_and_a_router_needs_one()
    {
        using (var engine = Start("--fixed-cidr", "10.79.1.0/24"))
        {
            Assert.Equal("10.79.1.0/24 10.79.1.1", Run(engine, "network", "inspect", "bridge", "--format", "{{with index .IPAM.Config 0}}{{.Subnet}} {{.Gateway}}{{end}}"));
            Assert.NotEqual("", Run(engine, "run", "--rm", "busybox", "sh", "-c", "ip route | grep 'via 10.79.1.1'"));
        }

        Assert.Contains("needs that network's IPv4 subnet", Assert.Throws<InvalidOperationException>(() => Start("--default-gateway", "10.79.1.9")).Message);
    }

    [Fact]
    public void Workloads_have_the_defaults_of_the_options()
    {
        Repository.CopyProgram(Repository.Executable("hull-init"), scratch["own-init"]);
        using var engine = Start("--default-ulimit", "nofile=512:1024", "--default-shm-size", "32m", "--default-ipc-mode", "shareable", "--default-cgroupns-mode", "host",
            "--init", "--init-path", scratch["own-init"], "--oom-score-adjust", "250", "--no-new-privileges", "--seccomp-profile", "unconfined",
            "--log-driver", "local", "--log-opt", "max-size=1m", "--label", "place=here", "--shutdown-timeout", "1", "--live-restore=false");
        Assert.Equal("250", File.ReadAllText($"/proc/{engine.Pid}/oom_score_adj").Trim());
        var own = new FileInfo("/proc/self/ns/cgroup").LinkTarget;
        Assert.Equal($"512 1024 32768 250 1 0 {own}", Run(engine, "run", "--rm", "busybox", "sh", "-c",
            "echo $(ulimit -Sn) $(ulimit -Hn) $(df -k /dev/shm | grep -o '32768' | head -n 1) $(cat /proc/self/oom_score_adj)"
            + " $(grep NoNewPrivs /proc/self/status | cut -f 2) $(grep Seccomp: /proc/self/status | cut -f 2) $(readlink /proc/self/ns/cgroup)"));
        Assert.Equal("here", Run(engine, "info", "--format", "{{range .Labels}}{{.}}{{end}}").Replace("place=", "", StringComparison.Ordinal));
        Run(engine, "run", "-d", "--name", "kept", "busybox", "sleep", "1000");
        // Where the directory is a file system of its own, mountinfo has the path from there.
        Assert.Contains(Path.GetFileName(scratch.Path) + "/own-init", File.ReadAllText($"/proc/{Run(engine, "inspect", "--format", "{{.State.Pid}}", "kept")}/mountinfo"));
        Assert.Equal("shareable local 1m", Run(engine, "inspect", "--format", "{{.HostConfig.IpcMode}} {{.HostConfig.LogConfig.Type}} {{index .HostConfig.LogConfig.Config \"max-size\"}}", "kept"));

        // Without live-restore they end with the engine.
        engine.Stop();
        engine.Start();
        Assert.Equal("exited", Run(engine, "inspect", "--format", "{{.State.Status}}", "kept"));
    }

    public void Dispose() => scratch.Dispose();

    private EngineDaemon Start(params string[] arguments)
    {
        if (!Directory.Exists(scratch["root"])) BusyboxRoot.Make(scratch["root"]);
        var engine = new EngineDaemon(arguments);
        engine.Import(scratch["root"]);
        return engine;
    }

    private CommandResult Validate(string config)
    {
        File.WriteAllText(scratch["hulld.json"], JsonNode.Parse(config)!.ToJsonString());
        return Command.Run(Repository.Executable("hulld"), "--validate", "--config-file", scratch["hulld.json"]);
    }

    private static string Run(EngineDaemon engine, params string[] words) => engine.Run(Engine.Client, words).Ok().Trimmed;
}
