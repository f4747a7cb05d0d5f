using System.Text.Json;
using Hull.Core;
using Hull.Engine;
using Hull.Engine.Drivers.Vm;
using Hull.Engine.Workloads;
using Hull.Hypervisor.Monitor;
using Hull.Images;
using Hull.Testing;

namespace Hull.InstanceContract.Tests;

/// <summary>The contract over virtual machines. All cases clone one template, which is kept between runs.</summary>
public sealed class VmContractTests : InstanceContract
{
    protected override async Task<EngineHost> StartEngineAsync()
    {
        var (host, driver) = await VmDrivers.StartAsync(options => options with { TenantLabels = ["tenant"] });
        if (Environment.GetEnvironmentVariable("HULL_TEST_IMAGE_TEMPLATES") == "1") host.Creating = config => HaveTemplateAsync(host, driver, config);
        return host;
    }

    /// <summary>Has the case begin from a template of its image, where there can be one. That takes longer than most cases, and is done by hand.</summary>
    private static async Task HaveTemplateAsync(EngineHost host, VmDriver driver, WorkloadConfig config)
    {
        var before = driver.Describe()["image-templates"];
        var form = config with
        {
            Name = null, Restart = new(), Health = null, AutoRemove = false,
            Process = config.Process with { Entrypoint = [], Command = ["true"] },
        };
        for (var round = 0; round < 2; round++)
        {
            var id = (await host.Engine.Workloads.CreateAsync(form, default)).Id;
            using var wait = host.Engine.Workloads.Wait(id, WaitCondition.NextExit);
            try
            {
                await host.Engine.Workloads.StartAsync(id, default);
                await wait.Completion.WaitAsync(TimeSpan.FromSeconds(30));
            }
            catch (HullException)
            {
                // The case is about what cannot be started.
            }

            await host.Engine.Workloads.RemoveAsync(id, new RemoveRequest(Force: true), default);
        }

        for (var look = 0; look < 30 && driver.Describe()["image-templates"] == before; look++) await Task.Delay(100);
    }

    [Fact]
    public async Task Tenants_begin_from_templates_of_their_own()
    {
        var nobody = await TemplateOfAsync(null);
        var one = await TemplateOfAsync("one");
        Assert.NotEqual((nobody.Key, nobody.MemoryPath), (one.Key, one.MemoryPath));
        Assert.NotEqual(nobody.MemoryPath, one.MemoryPath);
        // They differ in whose they are alone: a template is booted once.
        Assert.Equal(nobody.StatePath, one.StatePath);
        Assert.Equal(nobody.Key, (await TemplateOfAsync(null)).Key);
    }

    private async Task<TemplateSource> TemplateOfAsync(string? tenant)
    {
        var config = Host.Config("sleep", "60");
        if (tenant is not null) config = config with { Labels = new Dictionary<string, string> { ["tenant"] = tenant } };
        var id = await Host.RunAsync(config);
        var bundle = JsonSerializer.Deserialize(File.ReadAllBytes(Path.Combine(Host.Options.ExecRoot, "i", id[..32], VmBundle.FileName)), VmBundleJson.Default.VmBundle)!;
        await Host.Engine.Workloads.RemoveAsync(id, new RemoveRequest(Force: true), default);
        return bundle.Template!;
    }
}
