using System.Globalization;
using System.Text.Json.Nodes;
using Hull.Testing;

namespace Hull.EngineClients.Tests;

/// <summary>What Hull has beyond Docker, through its own client.</summary>
public sealed class OwnFeatureTests(Engine engine)
{
    private static readonly string s_hull = Repository.Executable("hull");

    [Fact]
    public void VolumesAreSnapshotClonedBackedUpAndRestored()
    {
        Hull("volume", "create", "box").Ok();
        Write("box", "one");
        Hull("volume", "snapshot", "create", "box", "first").Ok();
        Write("box", "two");
        Assert.NotEqual(0, Hull("volume", "snapshot", "create", "box", "first").ExitCode);
        Assert.Contains("first", Hull("volume", "snapshot", "ls", "box").Ok().Output, StringComparison.Ordinal);
        Hull("volume", "clone", "box", "same").Ok();
        Hull("volume", "clone", "--snapshot", "first", "-o", "size=16m", "box", "old").Ok();
        Assert.Equal(("two", "one"), (Read("same"), Read("old")));

        var archive = engine.Path("box.tar");
        Hull("volume", "backup", "-o", archive, "box").Ok();
        Assert.False(File.Exists(archive + ".part"));
        Hull("volume", "snapshot", "restore", "box", "first").Ok();
        Assert.Equal("one", Read("box"));
        Hull("volume", "restore", "-i", archive, "--label", "from=backup", "again").Ok();
        Assert.Equal("two", Read("again"));
        Command.Run("gzip", "-f", archive).Ok();
        Hull("volume", "restore", "-i", archive + ".gz", "packed").Ok();
        Assert.Equal("two", Read("packed"));
        Assert.Equal("backup", Hull("volume", "inspect", "-f", "{{.Labels.from}}", "again").Ok().Trimmed);
        Assert.NotEqual(0, Hull("volume", "restore", "-i", archive + ".gz", "packed").ExitCode);
        Assert.Contains("damaged", engine.Run(s_hull, "no archive", "volume", "restore", "bad").Error, StringComparison.Ordinal);
        Assert.DoesNotContain("bad", Hull("volume", "ls", "-q").Ok().Output, StringComparison.Ordinal);

        Hull("volume", "snapshot", "rm", "box", "first").Ok();
        Assert.NotEqual(0, Hull("volume", "snapshot", "restore", "box", "first").ExitCode);
        Hull("volume", "rm", "box", "same", "old", "again", "packed").Ok();
    }

    [Fact]
    public void AVolumeWithASizeTakesNoMore()
    {
        Hull("volume", "create", "-o", "size=8m", "small").Ok();
        var full = Hull("run", "--rm", "-v", "small:/v", "busybox", "sh", "-c", "dd if=/dev/zero of=/v/f bs=1M count=20");
        Assert.NotEqual(0, full.ExitCode);
        Assert.Contains("No space left", full.Error, StringComparison.Ordinal);
        Hull("volume", "rm", "small").Ok();
    }

    [Fact]
    public void BandwidthIsLimitedAndTheLimitChangesWhileItRuns()
    {
        // 800 kB at 2 Mbit/s take 3.2 s, less what the bucket holds at first.
        Hull("run", "-d", "--name", "slow", "-p", "80", "--network-egress", "2mbit", "busybox", "sh", "-c",
            "dd if=/dev/zero of=/tmp/file bs=1000 count=800 2> /dev/null; exec httpd -f -h /tmp").Ok();
        try
        {
            var address = "http://" + Hull("port", "slow", "80").Ok().Trimmed + "/file";
            Assert.InRange(Seconds(address), 2, 60);
            Assert.Equal("2000000", Hull("inspect", "-f", "{{.HostConfig.NetworkEgress}}", "slow").Ok().Trimmed);
            Hull("update", "--network-egress", "none", "slow").Ok();
            Assert.InRange(Seconds(address), 0, 2);
            Assert.NotEqual(0, Hull("update", "--network-egress", "5", "slow").ExitCode);
            Assert.Contains("such as", Hull("update", "--network-egress", "fast", "slow").Error, StringComparison.Ordinal);
        }
        finally
        {
            Hull("rm", "-f", "slow").Ok();
        }
    }

    [Fact]
    public void WhatIsUnhealthyIsRestartedStoppedOrKilled()
    {
        foreach (var action in new[] { "restart", "stop", "kill" })
        {
            Hull("run", "-d", "--name", "ill" + action, "--health-cmd", "false", "--health-interval", "200ms", "--health-retries", "2", "--health-on-failure", action,
                "busybox", "sh", "-c", "trap 'exit 3' TERM; while :; do sleep 0.1; done").Ok();
        }

        try
        {
            var started = (string)State("illrestart")["State"]!["StartedAt"]!;
            Until(() => (string)State("illrestart")["State"]!["StartedAt"]! != started, "a restart");
            Until(() => Ended("illstop") && Ended("illkill"), "the ends");
            Assert.Equal((3, 137), ((int)State("illstop")["State"]!["ExitCode"]!, (int)State("illkill")["State"]!["ExitCode"]!));
        }
        finally
        {
            Hull("rm", "-f", "illrestart", "illstop", "illkill").Ok();
        }

        bool Ended(string name) => !(bool)State(name)["State"]!["Running"]!;
    }

    [Fact]
    public void PortsMountsAndNetworksOfWhatExistsAreEdited()
    {
        Hull("volume", "create", "edited").Ok();
        Write("edited", "mounted");
        Hull("network", "create", "edits").Ok();
        Hull("run", "-d", "--name", "edit", "busybox", "sh", "-c", "mkdir -p /www; echo served > /www/page; exec httpd -f -h /www").Ok();
        try
        {
            // At once.
            Hull("update", "--publish", "80", "edit").Ok();
            var address = "http://" + Hull("port", "edit", "80").Ok().Trimmed + "/page";
            Until(() => engine.RunIn(null, "curl", ["-sf", "--max-time", "5", address]).Trimmed == "served", "the new port");
            Hull("network", "connect", "edits", "edit").Ok();
            Assert.Equal("served\n", Hull("run", "--rm", "--network", "edits", "busybox", "sh", "-c", "wget -qO- http://edit/page").Ok().Output);
            Hull("update", "--publish-none", "edit").Ok();
            Assert.NotEqual(0, engine.RunIn(null, "curl", ["-sf", "--max-time", "5", address]).ExitCode);
            // With the next start, which is said.
            Assert.Contains("started again", Hull("update", "-v", "edited:/mnt", "edit").Ok().Error, StringComparison.Ordinal);
            Hull("restart", "-t", "0", "edit").Ok();
            Assert.Equal("mounted\n", Hull("exec", "edit", "cat", "/mnt/file").Ok().Output);
        }
        finally
        {
            Hull("rm", "-f", "edit").Ok();
            Hull("network", "rm", "edits").Ok();
            Hull("volume", "rm", "edited").Ok();
        }
    }

    [Fact]
    public void TopShowsTheBusiestFirst()
    {
        Hull("run", "-d", "--name", "idler", "--cpu-shares", "2048", "--cpu-reservation", "0.25", "--memory-reservation", "64m", "--priority", "30", "busybox", "sleep", "1000").Ok();
        Hull("run", "-d", "--name", "spinner", "--cpus", "0.2", "busybox", "sh", "-c", "while :; do :; done").Ok();
        try
        {
            var rows = Hull("top").Ok().Output.Split('\n').Where(line => line.Contains("idler", StringComparison.Ordinal) || line.Contains("spinner", StringComparison.Ordinal)).ToList();
            Assert.Equal(2, rows.Count);
            Assert.Contains("spinner", rows[0], StringComparison.Ordinal);
            Assert.DoesNotMatch(@"spinner +0\.00%", rows[0]);
            Assert.Contains("throttled: limit 0.2 cpus", rows[0], StringComparison.Ordinal);
            Assert.Matches(@"idler +\S+ +2048 +0\.25 / - +\S+ +64MiB / - +- +30 ", rows[1]);
            Assert.DoesNotContain("spinner", Hull("stats", "--no-stream", "idler").Ok().Output, StringComparison.Ordinal);
            Assert.Contains("sleep 1000", Hull("top", "idler").Ok().Output, StringComparison.Ordinal);
        }
        finally
        {
            Hull("rm", "-f", "idler", "spinner").Ok();
        }
    }

    [Fact]
    public async Task MembersOfAGroupShareItsBandwidth()
    {
        Hull("group", "create", "--network-egress", "2mbit", "--network-ingress", "100mbit", "narrow").Ok();
        try
        {
            foreach (var name in new[] { "left", "right" })
            {
                Hull("run", "-d", "--name", name, "--group", "narrow", "-p", "80", "busybox", "sh", "-c",
                    "dd if=/dev/zero of=/tmp/file bs=1000 count=400 2> /dev/null; exec httpd -f -h /tmp").Ok();
            }

            // Together 800 kB at 2 Mbit/s, less what the bucket holds at first, whoever asks first.
            string Address(string name) => "http://" + Hull("port", name, "80").Ok().Trimmed + "/file";
            var watch = System.Diagnostics.Stopwatch.StartNew();
            await Task.WhenAll(Task.Run(() => Seconds(Address("left"))), Task.Run(() => Seconds(Address("right"))));
            Assert.InRange(watch.Elapsed.TotalSeconds, 2, 60);
            Assert.Contains("use one of them", Hull("run", "--rm", "--group", "narrow", "--network-egress", "1mbit", "busybox", "true").Error, StringComparison.Ordinal);
            Hull("group", "update", "--network-egress", "none", "narrow").Ok();
            Assert.InRange(Seconds(Address("left")), 0, 60);
            Assert.DoesNotContain("networkEgress", Hull("group", "inspect", "narrow").Ok().Output, StringComparison.Ordinal);
        }
        finally
        {
            Hull("rm", "-f", "left", "right").Ok();
            Hull("group", "rm", "narrow").Ok();
        }
    }

    [Fact]
    public void GroupsShareAndKeepWhatIsReserved()
    {
        Hull("group", "create", "--cpus", "1", "--cpu-reservation", "0.5", "--priority", "20", "shop").Ok();
        try
        {
            Hull("run", "-d", "--group", "shop", "--cpu-reservation", "0.3", "--name", "first", "busybox", "sleep", "1000").Ok();
            // A client that has no such options says it with labels; nobody is refused who reserves nothing.
            engine.Docker(Engine.Client, "run", "-d", "--label", "hull.group=shop", "--label", "hull.priority=10", "--name", "second", "busybox", "sleep", "1000").Ok();
            Assert.Equal("shop 10", Hull("inspect", "-f", "{{.HostConfig.Group}} {{.HostConfig.Priority}}", "second").Ok().Trimmed);
            var refused = engine.Docker(Engine.Client, "run", "-d", "--label", "hull.group=shop", "--label", "hull.cpu-reservation=0.3", "--name", "third", "busybox", "sleep", "1000");
            Assert.Contains("cannot reserve 0.3 processors for third: group shop has a reservation of 0.5, of which 0.2 is free (first has 0.3)", refused.Error, StringComparison.Ordinal);
            Assert.NotEqual(0, engine.Docker(Engine.Client, "run", "--rm", "--label", "hull.cpu-reservation=much", "busybox", "true").ExitCode);
            Assert.Contains("first,second,third", Hull("group", "ls").Ok().Output, StringComparison.Ordinal);
            Hull("group", "update", "--cpu-reservation", "0.7", "shop").Ok();
            Hull("start", "third").Ok();
            Assert.Equal("600000000", Hull("group", "inspect", "-f", "{{.reservedCpus}}", "shop").Ok().Trimmed);
            Assert.NotEqual(0, Hull("group", "rm", "shop").ExitCode);
        }
        finally
        {
            Hull("rm", "-f", "first", "second", "third");
            Hull("group", "rm", "shop").Ok();
        }

        Assert.DoesNotContain("shop", Hull("group", "ls").Ok().Output, StringComparison.Ordinal);
    }

    private JsonNode State(string name) => JsonNode.Parse(Hull("inspect", name).Ok().Output)!.AsArray()[0]!;

    private double Seconds(string address) => double.Parse(
        engine.RunIn(null, "curl", ["-sf", "--retry", "20", "--retry-connrefused", "--retry-delay", "1", "--max-time", "60", "-o", "/dev/null", "-w", "%{time_total}", address]).Ok().Trimmed,
        CultureInfo.InvariantCulture);

    private void Write(string volume, string text) => Hull("run", "--rm", "-v", volume + ":/v", "busybox", "sh", "-c", $"echo {text} > /v/file").Ok();

    private string Read(string volume) => Hull("run", "--rm", "-v", volume + ":/v", "busybox", "cat", "/v/file").Ok().Trimmed;

    private CommandResult Hull(params string[] words) => engine.Run(s_hull, null, words);

    private static void Until(Func<bool> condition, string what)
    {
        for (var i = 0; i < 300; i++)
        {
            if (condition()) return;
            Thread.Sleep(100);
        }

        Assert.Fail("waited in vain for " + what);
    }
}
