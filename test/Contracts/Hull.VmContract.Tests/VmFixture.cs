using System.Diagnostics;
using Hull.Hypervisor;
using Hull.Hypervisor.Agent;
using Hull.Hypervisor.Guest;
using Hull.Hypervisor.Qemu;
using Hull.Hypervisor.Sandboxes;
using Hull.Hypervisor.Templates;
using Hull.Agent.Protocol;
using Hull.Testing;
using Xunit;

[assembly: AssemblyFixture(typeof(Hull.VmContract.Tests.VmFixture))]
[assembly: CollectionBehavior(DisableTestParallelization = true)]

namespace Hull.VmContract.Tests;

/// <summary>One hypervisor, guest image and template for all tests: a boot in emulation takes seconds.</summary>
public sealed class VmFixture : IAsyncLifetime
{
    private readonly TemporaryDirectory _directory = new("vm");
    private TemplateStore? _templates;

    public QemuHypervisor Hypervisor { get; private set; } = null!;

    public TemplateStore Templates => _templates!;

    public GuestImage Guest { get; private set; } = null!;

    public Template Template { get; private set; } = null!;

    public TimeSpan TemplateTime { get; private set; }

    public async ValueTask InitializeAsync()
    {
        Require.Root();
        Require.Program("qemu-system-x86_64");
        // The kernel and the answer of the probe outlive a test run: fetching and probing take their time.
        var cache = Path.Combine(Repository.Root, "out", "vm");
        Hypervisor = await QemuHypervisor.DetectAsync("amd64", cache);
        Guest = await new GuestImageBuilder(Path.Combine(cache, "guest"), Repository.Executable("hull-agent")).GetAsync();
        _templates = new TemplateStore(Hypervisor, Path.Combine(cache, "templates"));
        var watch = Stopwatch.StartNew();
        Template = await _templates.GetAsync("tests", SandboxShape.Default, Guest);
        TemplateTime = watch.Elapsed;
    }

    public async ValueTask DisposeAsync()
    {
        if (_templates is not null) await _templates.DisposeAsync();
        _directory.Dispose();
    }

    public string NewPath(string name) => _directory[name];
}
