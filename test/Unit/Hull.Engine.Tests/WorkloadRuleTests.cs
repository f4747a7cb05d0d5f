using Hull.Core;
using Hull.Engine.Drivers;
using Hull.Engine.Security;
using Hull.Engine.Workloads;
using Hull.Oci.Image;

namespace Hull.Engine.Tests;

public sealed class WorkloadRuleTests
{
    private static readonly DateTimeOffset s_now = new(2026, 1, 1, 0, 0, 0, TimeSpan.Zero);

    [Theory]
    [InlineData("TERM", 15)]
    [InlineData("SIGTERM", 15)]
    [InlineData("sigkill", 9)]
    [InlineData("1", 1)]
    [InlineData("RTMIN+3", 37)]
    [InlineData("SIGRTMAX", 64)]
    [InlineData("RTMAX-1", 63)]
    public void Signals_have_names_and_numbers(string text, int number) => Assert.Equal(number, Signals.Parse(text));

    [Theory]
    [InlineData("")]
    [InlineData("0")]
    [InlineData("65")]
    [InlineData("SIG")]
    [InlineData("RTMIN-1")]
    [InlineData("NOPE")]
    public void What_is_no_signal_is_refused(string text) =>
        Assert.Equal(ErrorKind.InvalidArgument, Assert.Throws<HullException>(() => Signals.Parse(text)).Kind);

    [Fact]
    public void Capabilities_are_defaults_with_additions_and_removals()
    {
        Assert.Equal(CapabilitySets.Default, CapabilitySets.Resolve(false, [], []));
        Assert.DoesNotContain("CAP_KILL", CapabilitySets.Resolve(false, [], ["kill"]));
        Assert.Equal(["CAP_CHOWN"], CapabilitySets.Resolve(false, ["CHOWN"], ["ALL"]));
        Assert.Contains("CAP_NET_RAW", CapabilitySets.Resolve(false, ["ALL"], []));
        Assert.DoesNotContain("CAP_NET_RAW", CapabilitySets.Resolve(false, ["ALL"], ["NET_RAW"]));
        Assert.Throws<HullException>(() => CapabilitySets.Resolve(false, ["CAP_FLY"], []));
    }

    [Fact]
    public void The_default_filter_lets_threads_through_but_no_namespaces()
    {
        var rules = DefaultSeccomp.For(CapabilitySets.Default).Syscalls!;
        Assert.Contains(rules, rule => rule.Names!.Contains("clone") && rule.Args is { Count: 1 });
        Assert.DoesNotContain(rules, rule => rule.Names!.Contains("mount"));
        Assert.Contains(rules, rule => rule.Names!.SequenceEqual(["clone3"]) && rule.ErrnoRet == 38);
        var admin = DefaultSeccomp.For(["CAP_SYS_ADMIN"]).Syscalls!;
        Assert.Contains(admin, rule => rule.Names!.Contains("mount") && rule.Args is null);
        Assert.DoesNotContain(admin, rule => rule.Names!.Contains("clone3") && rule.Action == "SCMP_ACT_ERRNO");
    }

    [Fact]
    public void A_profile_applies_rules_by_capability()
    {
        const string profile = """
            {"defaultAction":"SCMP_ACT_ERRNO","syscalls":[
              {"names":["read"],"action":"SCMP_ACT_ALLOW"},
              {"names":["mount"],"action":"SCMP_ACT_ALLOW","includes":{"caps":["CAP_SYS_ADMIN"]}},
              {"names":["clone3"],"action":"SCMP_ACT_ERRNO","errnoRet":38,"excludes":{"caps":["CAP_SYS_ADMIN"]}}]}
            """;
        Assert.Equal(["read", "clone3"], SeccompProfile.Parse(profile, []).Syscalls!.SelectMany(rule => rule.Names!));
        Assert.Equal(["read", "mount"], SeccompProfile.Parse(profile, ["CAP_SYS_ADMIN"]).Syscalls!.SelectMany(rule => rule.Names!));
        Assert.Throws<HullException>(() => SeccompProfile.Parse("{}", []));
        Assert.Throws<HullException>(() => SeccompProfile.Parse("nonsense", []));
    }

    [Fact]
    public void The_user_wins_over_the_image()
    {
        var image = new ContainerDefaults
        {
            Entrypoint = ["/entry"], Cmd = ["default"], Env = ["A=1", "B=2"], WorkingDir = "work", User = "app", StopSignal = "SIGINT",
        };
        var plain = ProcessMerge.Merge(new WorkloadConfig(), image);
        Assert.Equal(["/entry", "default"], plain.Arguments);
        Assert.Equal(("/work", "app", "SIGINT"), (plain.WorkingDirectory, plain.User, plain.StopSignal));

        var given = ProcessMerge.Merge(new WorkloadConfig { Process = new ProcessConfig { Command = ["mine"], Environment = ["B=3", "A"] } }, image);
        Assert.Equal(["/entry", "mine"], given.Arguments);
        Assert.Equal(["B=3"], given.Environment);

        var replaced = ProcessMerge.Merge(new WorkloadConfig { Process = new ProcessConfig { Entrypoint = ["/other"] } }, image);
        Assert.Equal(["/other"], replaced.Arguments);
    }

    [Fact]
    public void Policies_decide_over_restarts()
    {
        var failed = new ExitStatus(1, s_now);
        var fine = new ExitStatus(0, s_now);
        var state = new WorkloadState { RestartCount = 3 };
        Assert.True(RestartDecision.For(new RestartPolicy("always"), state, fine, false));
        Assert.False(RestartDecision.For(new RestartPolicy("always"), state, fine, stopRequested: true));
        Assert.True(RestartDecision.For(new RestartPolicy("on-failure"), state, failed, false));
        Assert.False(RestartDecision.For(new RestartPolicy("on-failure"), state, fine, false));
        Assert.False(RestartDecision.For(new RestartPolicy("on-failure", 3), state, failed, false));
        Assert.False(RestartDecision.For(new RestartPolicy(), state, failed, false));
        Assert.False(RestartDecision.AtStartup(new RestartPolicy("unless-stopped"), state with { StoppedByUser = true }, 0));
        Assert.True(RestartDecision.AtStartup(new RestartPolicy("always"), state with { StoppedByUser = true }, 0));
    }

    [Fact]
    public void Backoff_doubles_to_a_minute_and_begins_anew_after_a_steady_run()
    {
        var backoff = new RestartBackoff();
        var delays = Enumerable.Range(0, 12).Select(_ => backoff.Next(TimeSpan.Zero)).ToList();
        Assert.Equal(TimeSpan.FromMilliseconds(100), delays[0]);
        Assert.Equal(TimeSpan.FromMilliseconds(200), delays[1]);
        Assert.Equal(TimeSpan.FromMinutes(1), delays[^1]);
        Assert.Equal(TimeSpan.FromMilliseconds(100), backoff.Next(TimeSpan.FromSeconds(11)));
    }

    [Fact]
    public void What_others_depend_on_starts_first_and_circles_do_not_hang()
    {
        Workload Make(string name, int order, params string[] after) => new(new WorkloadRecord
        {
            Id = name, Name = name, CreatedAt = s_now.AddSeconds(order), Config = new WorkloadConfig { DependsOn = after },
            Process = new EffectiveProcess(), Isolation = "container", Platform = "linux/amd64", LogDriver = "none",
        }, new WorkloadState());
        Workload[] all = [Make("web", 0, "app"), Make("app", 1, "db", "cache"), Make("db", 2), Make("cache", 3, "web")];
        var order = StartOrder.Sort(all, name => all.FirstOrDefault(one => one.Name == name)).ConvertAll(one => one.Name);
        Assert.Equal(4, order.Count);
        Assert.True(order.IndexOf("db") < order.IndexOf("app"));
        Assert.True(order.IndexOf("app") < order.IndexOf("web"));
    }

    [Theory]
    [InlineData("10m", 10L << 20)]
    [InlineData("1.5k", 1536)]
    [InlineData("2GB", 2L << 30)]
    [InlineData("77", 77)]
    public void Sizes_have_binary_units(string text, long bytes) => Assert.Equal(bytes, Sizes.Parse(text));

    [Fact]
    public void Detach_keys_are_letters_and_controls()
    {
        Assert.Equal(new byte[] { 16, 17 }, DetachKeysAttachment.Parse("ctrl-p,ctrl-q"));
        Assert.Equal(new byte[] { (byte)'a', 0, 27 }, DetachKeysAttachment.Parse("a,ctrl-@,ctrl-["));
        Assert.Throws<HullException>(() => DetachKeysAttachment.Parse("ctrl-"));
    }

    [Theory]
    [InlineData("a")]
    [InlineData("-ab")]
    [InlineData("a/b")]
    [InlineData("a b")]
    [InlineData("é1")]
    public void Bad_names_are_refused(string name) => Assert.Throws<HullException>(() => WorkloadService.CheckName(name));

    [Fact]
    public void Contradictions_are_refused_before_anything_is_made()
    {
        var options = new EngineOptions();
        Refused(new WorkloadConfig { AutoRemove = true, Restart = new RestartPolicy("always") });
        Refused(new WorkloadConfig { Restart = new RestartPolicy("sometimes") });
        Refused(new WorkloadConfig { Resources = new ResourceLimits { Memory = 1 } });
        Refused(new WorkloadConfig { Resources = new ResourceLimits { Memory = 64 << 20, MemorySwap = 32 << 20 } });
        Refused(new WorkloadConfig { Mounts = [new MountConfig { Type = "bind", Source = "/a", Target = "relative" }] });
        Refused(new WorkloadConfig { Mounts = [new MountConfig { Type = "volume", Source = "v", Target = "/d", Subpath = "../x" }] });
        Refused(new WorkloadConfig { Mounts = [new MountConfig { Type = "tmpfs", Target = "/d" }, new MountConfig { Type = "tmpfs", Target = "/d/" }] });
        Refused(new WorkloadConfig { Networking = new NetworkingConfig { Mode = "container:x", Hostname = "h" } });

        void Refused(WorkloadConfig config) =>
            Assert.Equal(ErrorKind.InvalidArgument, Assert.Throws<HullException>(() => ConfigValidation.Check(config, options)).Kind);
    }
}
