namespace Hull.RuntimeContract.Tests;

/// <summary>What <c>run</c> and <c>exec</c> exit with.</summary>
public sealed class ExitCodeTests
{
    [Theory, Runtimes]
    public void RunExitsAsTheProgram(string runtime)
    {
        using var container = new Container(runtime);
        container.Spec.Script("exit 42");
        Assert.Equal(42, container.Run().ExitCode);
    }

    [Theory, Runtimes]
    public void ASignalIs128AndItsNumber(string runtime)
    {
        using var container = new Container(runtime);
        // Init ignores signals it has no handler for, so the kill comes from outside its namespace.
        container.Spec.Args("sleep", "1000");
        container.Create().Ok();
        container.Start().Ok();
        Assert.Equal(143, container.Exec("sh", "-c", "kill -TERM $$; sleep 10").ExitCode);
    }

    [Theory, Runtimes]
    public void ExecExitsAsTheProgram(string runtime)
    {
        using var container = new Container(runtime).StartSleeping();
        Assert.Equal(0, container.Exec("true").ExitCode);
        Assert.Equal(7, container.Exec("sh", "-c", "exit 7").ExitCode);
    }

    [Theory, Runtimes(NotRunc = "1.1 exits 1", NotCrun = "1.8 exits 1")]
    public void AMissingCommandIs127(string runtime)
    {
        using var container = new Container(runtime);
        container.Spec.Args("nosuchcommand");
        var result = container.Run();
        Assert.Equal(127, result.ExitCode);
        Assert.Contains("nosuchcommand", result.Error);
        container.AssertNothingIsLeft();
    }

    [Theory, Runtimes(NotRunc = "1.1 exits 1", NotCrun = "1.8 exits 1")]
    public void ACommandThatIsNotExecutableIs126(string runtime)
    {
        using var container = new Container(runtime);
        container.Spec.Args("/etc/passwd");
        Assert.Equal(126, container.Run().ExitCode);
        container.AssertNothingIsLeft();
    }

    [Theory, Runtimes]
    public void ExecOfAMissingCommandFails(string runtime)
    {
        using var container = new Container(runtime).StartSleeping();
        var result = container.Exec("nosuchcommand");
        Assert.NotEqual(0, result.ExitCode);
        Assert.Contains("nosuchcommand", result.Error);
        Assert.Equal("running", container.Status());
    }
}
