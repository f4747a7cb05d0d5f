using System.Collections.Concurrent;
using Hull.Hypervisor.Disks;
using Hull.Hypervisor.Guest;
using Hull.Hypervisor.Qemu;
using Hull.Hypervisor.Sandboxes;

namespace Hull.Hypervisor.Templates;

/// <summary>
/// The templates of one engine. Each is booted once, when it is first asked for, and kept in files below
/// <paramref name="directory"/>: the state of its devices, its RAM and its disk. Every tenant that uses it has its RAM in a
/// sealed memory file of its own in this process, so that no page of it is shared between tenants.
/// </summary>
public sealed class TemplateStore(QemuHypervisor hypervisor, string directory) : IAsyncDisposable
{
    private readonly ConcurrentDictionary<string, Lazy<Task<Template>>> _templates = new();
    private readonly ConcurrentDictionary<string, SemaphoreSlim> _boots = new();
    private readonly ConcurrentDictionary<string, SandboxShape> _booting = new();
    private readonly WritableDisk _disks = new(Path.Combine(directory, "disks"));

    /// <summary>What is being booted now.</summary>
    public IReadOnlyCollection<SandboxShape> Booting => [.. _booting.Values];

    /// <summary>
    /// The template for a shape, booted now if there is none. Callers that ask meanwhile wait for the same boot; a boot
    /// that fails is tried again by the next caller.
    /// </summary>
    /// <param name="project">The tenant; <see cref="TemplateKey.Common"/> for none.</param>
    public async Task<Template> GetAsync(string project, SandboxShape shape, GuestImage guest,
        CancellationToken cancellationToken = default)
    {
        hypervisor.Capabilities.Demand(HypervisorFeature.Templates);
        var key = TemplateKey.Of(project, shape, guest, hypervisor);
        var files = TemplateKey.Of(TemplateKey.Common, shape, guest, hypervisor);
        var template = _templates.GetOrAdd(key, _ => new Lazy<Task<Template>>(() => Task.Run(() => LoadAsync(key, files, shape, guest))));
        try
        {
            return await template.Value.WaitAsync(cancellationToken).ConfigureAwait(false);
        }
        catch when (template.Value.IsFaulted)
        {
            _templates.TryRemove(KeyValuePair.Create(key, template));
            throw;
        }
    }

    /// <summary>Gives the memory of a template back; machines that were made from it keep what they share with it. Its files stay.</summary>
    public void Drop(string key)
    {
        if (_templates.TryGetValue(key, out var template) && template is { IsValueCreated: true, Value.IsCompletedSuccessfully: true } &&
            _templates.TryRemove(KeyValuePair.Create(key, template))) template.Value.Result.Dispose();
    }

    public async ValueTask DisposeAsync()
    {
        foreach (var template in _templates.Values.Where(template => template.IsValueCreated))
        {
            await ((Task)template.Value).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
            if (template.Value.IsCompletedSuccessfully) template.Value.Result.Dispose();
        }

        _templates.Clear();
    }

    private async Task<Template> LoadAsync(string key, string files, SandboxShape shape, GuestImage guest)
    {
        var home = Path.Combine(directory, files);
        var (memory, state, writable) = (Path.Combine(home, "memory"), Path.Combine(home, "state"), Path.Combine(home, "writable.img"));
        var gate = _boots.GetOrAdd(files, _ => new SemaphoreSlim(1));
        await gate.WaitAsync().ConfigureAwait(false);
        try
        {
            // The memory is put in place last: where it is, the state and the disk beside it are whole.
            if (!File.Exists(memory) || !File.Exists(state))
            {
                _booting[files] = shape;
                await BootAsync(home, files, shape, guest).ConfigureAwait(false);
            }
        }
        finally
        {
            _booting.TryRemove(files, out _);
            gate.Release();
        }

        return new Template(key, shape, guest, MemoryFile.Load(MemoryFile.TemplateLabel, memory), state, writable);
    }

    private async Task BootAsync(string home, string name, SandboxShape shape, GuestImage guest)
    {
        var (saved, writable) = (Path.Combine(home, "memory"), Path.Combine(home, "writable.img"));
        Directory.CreateDirectory(home);
        File.Delete(writable);
        _disks.Create(writable);
        using var memory = MemoryFile.Create(MemoryFile.TemplateLabel, shape.MemoryBytes);
        var options = new SandboxOptions("template-" + name[..12], WritableDisk: writable, ConsolePath: Path.Combine(home, "console.log"),
            LogPath: Path.Combine(home, "qemu.log"));
        await using (var sandbox = await SandboxMachine.BootAsync(hypervisor, guest, shape, options, memory).ConfigureAwait(false))
        {
            await Rehearsal.PlayAsync(sandbox.Agent).ConfigureAwait(false);
            await sandbox.Machine.PauseAsync().ConfigureAwait(false);
            await sandbox.Machine.SaveStateAsync(Path.Combine(home, "state")).ConfigureAwait(false);
            await sandbox.Machine.QuitAsync(TimeSpan.FromSeconds(30)).ConfigureAwait(false);
        }

        memory.Seal();
        memory.SaveTo(saved + ".new");
        File.Move(saved + ".new", saved, overwrite: true);
    }
}
