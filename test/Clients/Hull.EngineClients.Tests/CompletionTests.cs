using Hull.Testing;

namespace Hull.EngineClients.Tests;

/// <summary>Completion in shells: what the program offers, and that each shell takes its script.</summary>
public sealed class CompletionTests(Engine engine)
{
    private static readonly string s_hull = Repository.Executable("hull");

    [Fact]
    public void VerbsOptionsValuesAndNamesAreOffered()
    {
        engine.Docker(Engine.Client, "create", "--name", "complete-me", "busybox", "true").Ok();
        engine.Docker(Engine.Client, "volume", "create", "complete-volume").Ok();
        try
        {
            Assert.Contains("run", Offered("ru"));
            Assert.DoesNotContain("__complete", Offered(""));
            Assert.Contains("--publish", Offered("run", "--pub"));
            Assert.Equal(["container", "vm"], Offered("run", "--isolation", ""));
            Assert.Equal(["unless-stopped"], Offered("run", "--restart", "un"));
            Assert.Contains("create", Offered("volume", ""));
            Assert.Contains("complete-me", Offered("start", ""));
            Assert.Contains("complete-me", Offered("container", "rm", "-f", "comp"));
            Assert.DoesNotContain("complete-me", Offered("start", "complete-me", ""));
            Assert.Empty(Offered("port", "complete-me", ""));
            Assert.Contains("complete-me:", Offered("cp", ""));
            Assert.Contains("busybox:latest", Offered("run", "-it", "--rm", "b"));
            Assert.Contains("bridge", Offered("run", "--network", ""));
            Assert.Contains("bridge", Offered("network", "connect", ""));
            Assert.Contains("complete-me", Offered("network", "connect", "bridge", ""));
            Assert.Contains("complete-volume", Offered("volume", "rm", ""));
            // What follows an image is the container's command; what cannot be asked has no names, and no error.
            Assert.Empty(Offered("run", "busybox", "l"));
            Assert.Empty(Offered("-H", "unix:///nowhere", "start", ""));
        }
        finally
        {
            engine.Docker(Engine.Client, "rm", "complete-me").Ok();
            engine.Docker(Engine.Client, "volume", "rm", "complete-volume").Ok();
        }
    }

    [Fact]
    public void BashCompletesByTheScript()
    {
        var script = $"hull() {{ {s_hull} \"$@\"; }}; source <(hull completion bash); COMP_WORDS=(hull run --isol); COMP_CWORD=2; _hull; echo \"${{COMPREPLY[@]}}\"";
        Assert.Equal("--isolation\n", Command.Run("bash", "-c", script).Ok().Output);
    }

    [Theory, InlineData("zsh"), InlineData("fish")]
    public void OtherShellsTakeTheirScripts(string shell)
    {
        var text = Command.Run(s_hull, "completion", shell).Ok().Output;
        Require.Program(shell);
        Command.Run(shell, ["-n", "/dev/stdin"], text, TimeSpan.FromSeconds(20)).Ok();
    }

    [Fact]
    public void AnUnknownShellIsNamed() => Assert.Contains("expected bash, zsh or fish", Command.Run(s_hull, "completion", "tcsh").Error, StringComparison.Ordinal);

    private string[] Offered(params string[] words) => [.. engine.Run(s_hull, null, ["__complete", "--", .. words]).Output
        .Split('\n', StringSplitOptions.RemoveEmptyEntries).Select(line => line.Split('\t')[0])];
}
