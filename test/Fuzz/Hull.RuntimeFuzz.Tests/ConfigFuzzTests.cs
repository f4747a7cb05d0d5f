using Hull.RuntimeContract.Tests;
using Hull.Testing;

namespace Hull.RuntimeFuzz.Tests;

/// <summary>Wrong configurations neither crash nor hang the runtime, and leave nothing behind.</summary>
public sealed class ConfigFuzzTests
{
    private static readonly int Count = Environment.GetEnvironmentVariable("HULL_SOAK") == "1" ? 10_000 : 150;
    private static readonly int Seed = int.TryParse(Environment.GetEnvironmentVariable("HULL_SEED"), out var seed) ? seed : Environment.TickCount;

    [Fact]
    public void MutatedConfigurations()
    {
        Require.Root();
        using var container = new Container("hull-runtime");
        var spec = container.Spec
            .Args("true").Add("linux.namespaces", """{"type":"cgroup"}""").Set("linux.sysctl", """{"net.ipv4.ip_forward":"1"}""")
            .Set("linux.resources.memory", """{"limit":67108864,"swap":67108864}""").Set("linux.resources.pids", """{"limit":100}""")
            .Set("linux.resources.cpu", """{"shares":512,"quota":50000,"period":100000,"cpus":"0","mems":"0"}""")
            .Set("linux.seccomp", """{"defaultAction":"SCMP_ACT_ALLOW","architectures":["SCMP_ARCH_X86_64"],"syscalls":[{"names":["mkdir"],"action":"SCMP_ACT_ERRNO","errnoRet":5,"args":[{"index":0,"value":1,"op":"SCMP_CMP_EQ"}]}]}""")
            .Add("linux.devices", """{"path":"/dev/odd","type":"c","major":1,"minor":5,"fileMode":438,"uid":0,"gid":0}""")
            .Set("process.user", """{"uid":0,"gid":0,"additionalGids":[5],"umask":18}""").Set("process.oomScoreAdj", "100")
            .Set("annotations", """{"a":"b"}""")
            .Mount("/data", container.MakeOutside("data"), "bind", "rbind", "ro", "nosuid").Mount("/scratch", "tmpfs", "tmpfs", "size=1m", "mode=755").ToString();
        var accepted = 0;
        for (var number = 0; number < Count; number++)
        {
            var config = new ConfigMutator(unchecked(Seed + number)).Mutate(spec);
            File.WriteAllBytes(Path.Combine(container.Bundle, "config.json"), config);
            try
            {
                if (RunOne(container)) accepted++;
            }
            catch (Exception error)
            {
                throw new InvalidOperationException($"configuration {number} with HULL_SEED={Seed}: {System.Text.Encoding.UTF8.GetString(config.AsSpan(0, Math.Min(config.Length, 8000)))}", error);
            }
        }

        Assert.InRange(accepted, 1, Count - 1);
    }

    /// <summary>Runs it in a mount namespace of its own, so that even a runtime that mounts where it should not harms nobody.</summary>
    private static bool RunOne(Container container)
    {
        var (output, error) = (container.Outside("out"), container.Outside("err"));
        var result = Command.Run("unshare",
            ["--mount", "--uts", "--ipc", "--net", "--propagation", "slave", "/bin/sh", "-c", $"exec \"$@\" </dev/null >{output} 2>{error}", "sh",
                container.Runtime.Path, "--root", container.StateRoot, "run", "--bundle", container.Bundle, container.Id],
            null, TimeSpan.FromSeconds(30));
        var text = File.ReadAllText(error);
        Assert.False(result.ExitCode is 134 or 135 or 136 or 139, $"it crashed with {result.ExitCode}: {text}");
        Assert.DoesNotContain("Unhandled exception", text);
        Assert.DoesNotContain("   at Hull.", text);
        // 137: the program itself was killed, by a limit on memory that left it just enough to start.
        if (result.ExitCode is not (0 or 137) && File.ReadAllText(output).Length == 0) Assert.NotEqual("", text.Trim());
        container.AssertNothingIsLeft();
        return result.ExitCode == 0;
    }
}
