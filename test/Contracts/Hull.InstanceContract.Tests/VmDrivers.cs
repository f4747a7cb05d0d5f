using Hull.Engine;
using Hull.Engine.Drivers.Vm;
using Hull.Engine.Resources;
using Hull.Testing;

namespace Hull.InstanceContract.Tests;

/// <summary>Drivers whose kernel and templates are kept between runs, in one directory.</summary>
internal static class VmDrivers
{
    /// <summary>An engine has its data to itself; of these several share it, and must not boot the same template at once.</summary>
    private static readonly SemaphoreSlim s_booting = new(1);

    public static VmDriver New(EngineOptions options, IMemoryPressureSource? pressure = null) =>
        new(options with { DataRoot = Path.Combine(Repository.Root, "out", "vm-driver") }, pressure: pressure);

    /// <summary>Makes ready what machines begin from, without which most cases would be over before the first could begin as a twin.</summary>
    public static async Task PrepareAsync(VmDriver driver)
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
