using System.Collections.Concurrent;
using System.Globalization;
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
    /// <summary>A tenant's template that no machine was made from for so long is given up; its files stay, from which it is back in a moment.</summary>
    private static readonly TimeSpan s_idleTime = TimeSpan.FromMinutes(10);

    private readonly Lock _gate = new();
    private readonly string _directory;
    private readonly string _agent;
    private readonly string _guest;
    private readonly LiveTemplates? _live;
    private readonly ImageTemplates? _images;
    private readonly ConcurrentDictionary<string, DateTimeOffset> _used = new();
    private readonly TimeProvider _clock;
    private readonly ITimer _sweeping;
    private Task<Parts>? _parts;

    /// <param name="directory">State directory of the driver.</param>
    /// <param name="agent">The program hull-agent.</param>
    /// <param name="live">Null makes every machine from its template's saved state.</param>
    /// <param name="images">Templates of images; null makes none.</param>
    /// <param name="templateEnds">Told the key of a template that is given up.</param>
    public VmPlatform(string directory, string agent, LiveTemplates? live, ImageTemplates? images, Action<string> templateEnds, TimeProvider clock)
    {
        (_directory, _agent, _live, _images, _templateEnds, _clock) = (directory, agent, live, images, templateEnds, clock);
        _guest = Path.Combine(directory, "guest");
        _sweeping = clock.CreateTimer(_ => _ = SweepAsync(), null, s_idleTime / 10, s_idleTime / 10);
        Disks = new WritableDisk(Path.Combine(directory, "disks"));
    }

    public WritableDisk Disks { get; }

    private readonly Action<string> _templateEnds;

    /// <summary>Live templates that are ready; null where there are to be none.</summary>
    public int? LiveTemplates => _live?.Ready;

    /// <summary>Templates of images that are ready; null where there are to be none.</summary>
    public int? ImageTemplates => _images is null ? null : _live?.ReadyOfImages;

    /// <summary>What was found so far; null before the first machine. For describing, which must not wait.</summary>
    public QemuHypervisor? Hypervisor => _parts is { IsCompletedSuccessfully: true } parts ? parts.Result.Hypervisor : null;

    /// <summary>What machines have to wait for at present, for people; null for nothing.</summary>
    public string? Preparing
    {
        get
        {
            if (_parts is not { } parts) return null;
            if (!parts.IsCompleted) return GuestImageBuilder.HasKernel(_guest) ? "making the image that machines boot" : "fetching the kernel that machines boot";
            if (!parts.IsCompletedSuccessfully || parts.Result.Templates.Booting is not { Count: > 0 } booting) return null;
            return "booting a template for machines of " + string.Join(" and ", booting.Select(shape =>
                string.Create(CultureInfo.InvariantCulture, $"{shape.MemoryBytes >> 20} MiB and {shape.Processors} CPU{(shape.Processors == 1 ? "" : "s")}"))) + ", once for all of them";
        }
    }

    /// <summary>The template for a shape, booted now if there is none, in the words of a bundle.</summary>
    /// <param name="tenant">Whose it is to be; empty for nobody's in particular.</param>
    public async Task<(GuestSource Guest, TemplateSource Template)> PrepareAsync(SandboxShape shape, string tenant, CancellationToken cancellationToken)
    {
        var parts = await GetPartsAsync().WaitAsync(cancellationToken).ConfigureAwait(false);
        var (hypervisor, guest) = (parts.Hypervisor, parts.Guest);
        var template = await parts.Templates.GetAsync(tenant.Length > 0 ? tenant : TemplateKey.Common, shape, guest, cancellationToken).ConfigureAwait(false);
        if (tenant.Length > 0) _used[template.Key] = _clock.GetUtcNow();
        var guestSource = new GuestSource(hypervisor.Installation.Program, hypervisor.Installation.Build, hypervisor.Accelerator.Name,
            hypervisor.Accelerator.Reason, guest.Digest, guest.Kernel, guest.Initrd, guest.Release);
        var source = new TemplateSource(template.Key, $"/proc/{Environment.ProcessId}/fd/{template.Memory.Descriptor.Value}", template.StatePath, template.WritablePath);
        return (guestSource, source with { Live = _live?.Find(guestSource, source, shape) });
    }

    /// <summary>The template of its image that an instance can begin from in place of one of its shape; null where there is none.</summary>
    public TemplateSource? FindImage(GuestSource guest, TemplateSource template, SandboxShape shape, Func<ImageForm> form) =>
        template.Live is null ? null : _images?.Find(guest, template, shape, form());

    /// <summary>Gives up what makes starts faster and nothing else.</summary>
    public void ReleaseIdle() => _ = _images?.DropAsync(DateTimeOffset.MaxValue);

    /// <summary>Whether a machine was ever made here: its template, or one that is out of date, is kept.</summary>
    public bool WasUsed => Directory.Exists(Path.Combine(_directory, "templates"));

    /// <summary>Waits until machines of a shape can begin as twins, where they can at all.</summary>
    public async Task WaitForLiveAsync(SandboxShape shape, CancellationToken cancellationToken)
    {
        var (guest, template) = await PrepareAsync(shape, "", cancellationToken).ConfigureAwait(false);
        if (_live is not null) await _live.WaitAsync(guest, template, shape).ConfigureAwait(false);
    }

    public async ValueTask DisposeAsync()
    {
        await _sweeping.DisposeAsync().ConfigureAwait(false);
        if (_live is not null) await _live.DisposeAsync().ConfigureAwait(false);
        if (_parts is { IsCompletedSuccessfully: true } parts) await parts.Result.Templates.DisposeAsync().ConfigureAwait(false);
    }

    private async Task SweepAsync()
    {
        var before = _clock.GetUtcNow() - s_idleTime;
        if (_images is not null) await _images.DropAsync(before).ConfigureAwait(false);
        foreach (var used in _used.Where(entry => entry.Value < before))
        {
            if (!_used.TryRemove(used)) continue;
            _templateEnds(used.Key);
            if (_images is not null) await _images.DropAsync(before, used.Key).ConfigureAwait(false);
            if (_live is not null) await _live.EndAsync(used.Key).ConfigureAwait(false);
            if (_parts is { IsCompletedSuccessfully: true } parts) parts.Result.Templates.Drop(used.Key);
        }
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
        var guest = await new GuestImageBuilder(_guest, _agent).GetAsync().ConfigureAwait(false);
        return new Parts(hypervisor, guest, new TemplateStore(hypervisor, Path.Combine(_directory, "templates")));
    }

    private sealed record Parts(QemuHypervisor Hypervisor, GuestImage Guest, TemplateStore Templates);
}
