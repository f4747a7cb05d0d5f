using Hull.Engine;
using Hull.Engine.Drivers.Vm;
using Hull.Images;
using Hull.Testing;

namespace Hull.InstanceContract.Tests;

/// <summary>The contract over virtual machines. All cases clone one template, which is kept between runs.</summary>
public sealed class VmContractTests : InstanceContract
{
    protected override async Task<EngineHost> StartEngineAsync()
    {
        Require.Program("qemu-system-x86_64");
        VmDriver? driver = null;
        var host = await EngineHost.StartAsync(
            options => new EngineParts
            {
                Drivers = [driver = new VmDriver(options with { DataRoot = Path.Combine(Repository.Root, "out", "vm-driver") })],
                Images = ImageService.Open(options.DataRoot),
            },
            options => options with { DefaultIsolation = "vm" });
        // Otherwise most cases would be over before the first machine could begin as a twin.
        await driver!.PrepareAsync(default);
        return host;
    }
}
