using Hull.Engine;
using Hull.Engine.Drivers.Vm;
using Hull.Engine.Resources;
using Hull.Images;
using Hull.Testing;

namespace Hull.InstanceContract.Tests;

/// <summary>Drivers whose kernel and templates are kept between runs, in one directory.</summary>
internal static class VmDrivers
{
    /// <summary>An engine has its data to itself; of these several share it, and must not boot the same template at once.</summary>
    private static readonly SemaphoreSlim s_booting = new(1);

    /// <summary>An engine whose workloads are virtual machines, ready to begin them as twins where that can be.</summary>
    public static async Task<(EngineHost Host, VmDriver Driver)> StartAsync(Func<EngineOptions, EngineOptions>? adjust = null, IMemoryPressureSource? pressure = null)
    {
        Require.Program("qemu-system-x86_64");
        VmDriver driver = null!;
        var host = await EngineHost.StartAsync(
            options => new EngineParts { Drivers = [driver = New(options, pressure)], Images = ImageService.Open(options.DataRoot) },
            options => (adjust?.Invoke(options) ?? options) with { DefaultIsolation = "vm" });
        try
        {
            await PrepareAsync(driver);
            return (host, driver);
        }
        catch
        {
            await host.DisposeAsync();
            throw;
        }
    }

    /// <summary>Skips what is about twins where there are none.</summary>
    public static void RequireTwins(VmDriver driver, string reason) => Assert.SkipUnless(driver.Describe()["live-templates"] == "1", reason);

    private static VmDriver New(EngineOptions options, IMemoryPressureSource? pressure) =>
        new(options with { DataRoot = Path.Combine(Repository.Root, "out", "vm-driver") }, pressure: pressure);

    /// <summary>Makes ready what machines begin from, without which most cases would be over before the first could begin as a twin.</summary>
    private static async Task PrepareAsync(VmDriver driver)
    {
        await s_booting.WaitAsync();
        try
        {
            await driver.PrepareAsync(default);
        }
        finally
        {
            s_booting.Release();
        }
    }
}
