using Hull.Core;
using Hull.Engine;
using Hull.Engine.Drivers.Container;
using Hull.Engine.Drivers.Shims;
using Hull.Engine.Workloads;
using Hull.Shim.Protocol;

namespace Hull.InstanceContract.Tests;

/// <summary>The contract over containers by an installed OCI program.</summary>
public sealed class RuncContractTests : InstanceContract
{
    protected override Task<EngineHost> StartEngineAsync()
    {
        Hull.Testing.Require.Program("runc");
        return EngineHost.StartAsync(
            options => new EngineParts { Drivers = [new ContainerDriver(options)] }, options => options with { DefaultRuntime = "runc" });
    }
}

/// <summary>The contract over containers by Hull's own runtime.</summary>
public sealed class HullContractTests : InstanceContract
{
    protected override Task<EngineHost> StartEngineAsync() =>
        EngineHost.StartAsync(options => new EngineParts { Drivers = [new ContainerDriver(options)] });

    [Fact]
    public async Task An_init_comes_first_when_asked_for_and_hands_codes_on()
    {
        Hull.Testing.Repository.Executable("hull-init");
        var config = Host.Config("sh", "-c", "cat /proc/1/comm; (sleep 0.01 &); exit 6") with { Init = true };
        Assert.Equal((6, "hull-init\n", ""), await Host.CompleteAsync(config));
    }

    [Fact]
    public async Task A_supervisor_forgets_execs_that_have_ended()
    {
        var id = await Host.RunAsync("sleep", "600");
        var ended = await Host.Engine.Execs.CreateAsync(id, new ExecConfig { Command = ["true"] }, default);
        await Host.Engine.Execs.StartAsync(ended, new ExecStartRequest(Detach: true), default);
        await EngineHost.EventuallyAsync(() => Task.FromResult(Host.Engine.Execs.Inspect(ended).ExitCode is not null), "its end");
        Assert.Equal((0, "", ""), await Host.ExecAsync(id, "true"));
        await using var shim = new ShimConnection(ShimConnection.TryOpen(Path.Combine(Host.Options.ExecRoot, "i", id[..32]))!, _ => { }, () => { });
        var error = await Assert.ThrowsAsync<HullException>(
            () => shim.RequestAsync(FrameKind.Signal, frame => frame.Write(ended).Write(15), default));
        // One that has ended and is remembered takes no signal either, but for that reason.
        Assert.Equal(ErrorKind.NotFound, error.Kind);
    }

    [Theory]
    [InlineData("gzip")]
    [InlineData("bzip2")]
    [InlineData("xz")]
    [InlineData("zstd")]
    public async Task Archives_may_be_packed(string program)
    {
        Hull.Testing.Require.Program(program);
        using var directory = new Hull.Testing.TemporaryDirectory("packed");
        Hull.Testing.Command.Shell($"cd {directory.Path} && echo hello > file && tar -c file | {program} > archive").Ok();
        var id = await Host.CreateAsync("cat", "/home/file");
        await using var archive = File.OpenRead(directory["archive"]);
        await Host.Engine.Workloads.WriteArchiveAsync(id, new Hull.Engine.Workloads.ArchivePutRequest("/home"), archive, default);
        Assert.Equal(6, (await Host.Engine.Workloads.StatPathAsync(id, "/home/file", default)).Size);
    }
}
