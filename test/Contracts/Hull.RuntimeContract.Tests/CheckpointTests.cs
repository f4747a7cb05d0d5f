using System.Text.Json.Nodes;
using Hull.Testing;

namespace Hull.RuntimeContract.Tests;

/// <summary>checkpoint and restore, where criu is installed and works with this kernel.</summary>
public sealed class CheckpointTests
{
    private static readonly Lazy<string?> Missing = new(() =>
        Command.Shell("command -v criu").ExitCode != 0 ? "criu is not installed"
        : Command.Shell("criu check").ExitCode != 0 ? "criu does not work with this kernel (criu check)" : null);

    [Theory, Runtimes(NotRunc = "it cannot save streams that are files", NotCrun = "it is built without criu in Debian")]
    public void AContainerGoesOnWhereItWasSaved(string runtime)
    {
        RequireCriu();
        using var container = StartCounting(runtime);
        var images = container.Outside("images");
        container.Call("checkpoint", "--image-path", images, container.Id).Ok();
        Assert.NotEqual(0, container.Call("state", container.Id).ExitCode);
        var saved = Count(container);
        container.Call("restore", "--detach", "--image-path", images, "--bundle", container.Bundle, container.Id).Ok();
        Assert.Equal("running", container.Status());
        WaitUntil(() => Count(container) > saved);
        // The same process, with its memory: it counts on instead of anew.
        Assert.InRange(Count(container), saved + 1, saved + 10_000);
    }

    [Theory, Runtimes(NotRunc = "it cannot save streams that are files", NotCrun = "it is built without criu in Debian")]
    public void AContainerThatIsSavedMayRunOn(string runtime)
    {
        RequireCriu();
        using var container = StartCounting(runtime);
        container.Call("checkpoint", "--leave-running", "--image-path", container.Outside("images"), container.Id).Ok();
        Assert.Equal("running", container.Status());
        var saved = Count(container);
        WaitUntil(() => Count(container) > saved);
    }

    [Fact]
    public void WithoutCriuItIsUnsupported()
    {
        Require.Root();
        using var container = new Container("hull-runtime").StartSleeping();
        var result = container.Call("--criu", "/nonexistent/criu", "checkpoint", "--image-path", container.Outside("images"), container.Id);
        Assert.NotEqual(0, result.ExitCode);
        Assert.Contains("needs criu", result.Error);
        Assert.Equal("running", container.Status());
    }

    [Fact]
    public void WhatIsNoCheckpointIsRefusedAndLeavesNothing()
    {
        Require.Root();
        using var container = new Container("hull-runtime");
        container.WriteSpec();
        var result = container.Call("restore", "--image-path", container.MakeOutside("empty"), "--bundle", container.Bundle, container.Id);
        Assert.NotEqual(0, result.ExitCode);
        Assert.Contains("holds no checkpoint", result.Error);
        container.AssertNothingIsLeft();
    }

    [Fact]
    public void FeaturesTellWhetherCriuIsThere()
    {
        var features = JsonNode.Parse(Command.Run(Repository.Executable("hull-runtime"), "features").Ok().Output)!;
        var expected = Command.Shell("command -v criu").ExitCode == 0 ? "true" : "false";
        Assert.Equal(expected, (string?)features["annotations"]!["org.opencontainers.runc.checkpoint.enabled"]);
    }

    private static void RequireCriu()
    {
        Require.Root();
        if (Missing.Value is { } reason) Assert.Skip(reason);
    }

    private static Container StartCounting(string runtime)
    {
        var container = new Container(runtime);
        container.Spec.Script("i=0; while sleep 0.05; do i=$((i+1)); echo $i > /count.new; mv /count.new /count; done");
        container.Create().Ok();
        container.Start().Ok();
        WaitUntil(() => Count(container) > 2);
        return container;
    }

    private static int Count(Container container) =>
        File.Exists(container.InRootfs("/count")) && int.TryParse(File.ReadAllText(container.InRootfs("/count")), out var count) ? count : 0;

    private static void WaitUntil(Func<bool> condition)
    {
        for (var attempt = 0; attempt < 200; attempt++)
        {
            if (condition()) return;
            Thread.Sleep(50);
        }

        Assert.Fail("the container did not count on");
    }
}
