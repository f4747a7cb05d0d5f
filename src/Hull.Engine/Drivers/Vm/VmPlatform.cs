using Hull.Core;
using Hull.Hypervisor.Disks;
using Hull.Hypervisor.Guest;
using Hull.Hypervisor.Monitor;
using Hull.Hypervisor.Qemu;
using Hull.Hypervisor.Sandboxes;
using Hull.Hypervisor.Templates;

namespace Hull.Engine.Drivers.Vm;

/// <summary>What all machines of an engine share: QEMU, the guest image and the templates, each made when first needed.</summary>
internal sealed class VmPlatform : IAsyncDisposable
{
    private readonly Lock _gate = new();
    private readonly string _directory;
    private readonly string _agent;
    private Task<Parts>? _parts;

    /// <param name="directory">State directory of the driver.</param>
    /// <param name="agent">The program hull-agent.</param>
    public VmPlatform(string directory, string agent)
    {
        (_directory, _agent) = (directory, agent);
        Disks = new WritableDisk(Path.Combine(directory, "disks"));
    }

    public WritableDisk Disks { get; }

    /// <summary>What was found so far; null before the first machine. For describing, which must not wait.</summary>
    public QemuHypervisor? Hypervisor => _parts is { IsCompletedSuccessfully: true } parts ? parts.Result.Hypervisor : null;

    /// <summary>The template for a shape, booted now if there is none, in the words of a bundle.</summary>
    public async Task<(GuestSource Guest, TemplateSource Template)> PrepareAsync(SandboxShape shape, CancellationToken cancellationToken)
    {
        var parts = await GetPartsAsync().WaitAsync(cancellationToken).ConfigureAwait(false);
        var (hypervisor, guest) = (parts.Hypervisor, parts.Guest);
        var template = await parts.Templates.GetAsync("default", shape, guest, cancellationToken).ConfigureAwait(false);
        return (
            new GuestSource(hypervisor.Installation.Program, hypervisor.Installation.Build, hypervisor.Accelerator.Name,
                hypervisor.Accelerator.Reason, guest.Digest, guest.Kernel, guest.Initrd, guest.Release),
            new TemplateSource(template.Key, $"/proc/{Environment.ProcessId}/fd/{template.Memory.Descriptor.Value}", template.StatePath, template.WritablePath));
    }

    public async ValueTask DisposeAsync()
    {
        if (_parts is { IsCompletedSuccessfully: true } parts) await parts.Result.Templates.DisposeAsync().ConfigureAwait(false);
    }

    private Task<Parts> GetPartsAsync()
    {
        lock (_gate)
        {
            // What failed, such as fetching a kernel without a network, is tried again by the next machine.
            if (_parts is null || _parts.IsFaulted) _parts = Task.Run(MakeAsync);
            return _parts;
        }
    }

    private async Task<Parts> MakeAsync()
    {
        var hypervisor = await QemuHypervisor.DetectAsync(Platform.Host.Architecture, _directory).ConfigureAwait(false);
        var guest = await new GuestImageBuilder(Path.Combine(_directory, "guest"), _agent).GetAsync().ConfigureAwait(false);
        return new Parts(hypervisor, guest, new TemplateStore(hypervisor, Path.Combine(_directory, "templates")));
    }

    private sealed record Parts(QemuHypervisor Hypervisor, GuestImage Guest, TemplateStore Templates);
}
