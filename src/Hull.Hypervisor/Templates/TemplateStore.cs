using System.Collections.Concurrent;
using Hull.Hypervisor.Disks;
using Hull.Hypervisor.Guest;
using Hull.Hypervisor.Qemu;
using Hull.Hypervisor.Sandboxes;

namespace Hull.Hypervisor.Templates;

/// <summary>
/// The templates of one engine. Each is booted once, when it is first asked for, and kept: the state of its devices and
/// its RAM in files below <paramref name="directory"/>, from where an engine that starts anew takes them, and its RAM
/// in a sealed memory file of this process.
/// </summary>
public sealed class TemplateStore(QemuHypervisor hypervisor, string directory) : IAsyncDisposable
{
    private readonly ConcurrentDictionary<string, Lazy<Task<Template>>> _templates = new();
    private readonly WritableDisk _disks = new(Path.Combine(directory, "disks"));

    /// <summary>
    /// The template for a shape, booted now if there is none. Callers that ask meanwhile wait for the same boot; a boot
    /// that fails is tried again by the next caller.
    /// </summary>
    public async Task<Template> GetAsync(string project, SandboxShape shape, GuestImage guest,
        CancellationToken cancellationToken = default)
    {
        hypervisor.Capabilities.Demand(HypervisorFeature.Templates);
        var key = TemplateKey.Of(project, shape, guest, hypervisor);
        var template = _templates.GetOrAdd(key, _ => new Lazy<Task<Template>>(() => Task.Run(() => MakeAsync(key, shape, guest))));
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

    public async ValueTask DisposeAsync()
    {
        foreach (var template in _templates.Values.Where(template => template.IsValueCreated))
        {
            await ((Task)template.Value).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
            if (template.Value.IsCompletedSuccessfully) template.Value.Result.Dispose();
        }

        _templates.Clear();
    }

    private async Task<Template> MakeAsync(string key, SandboxShape shape, GuestImage guest)
    {
        var home = Path.Combine(directory, key);
        var saved = Path.Combine(home, "memory");
        var kept = Path.Combine(home, "state");
        var writable = Path.Combine(home, "writable.img");
        // The memory is put in place last: where it is, the state and the disk beside it are whole.
        if (File.Exists(saved) && File.Exists(kept)) return new Template(key, shape, guest, MemoryFile.Load("hull-template", saved), kept, writable);
        Directory.CreateDirectory(home);
        File.Delete(writable);
        _disks.Create(writable);
        var memory = MemoryFile.Create("hull-template", shape.MemoryBytes);
        try
        {
            var options = new SandboxOptions("template-" + key[..12], WritableDisk: writable, ConsolePath: Path.Combine(home, "console.log"),
                LogPath: Path.Combine(home, "qemu.log"));
            await using (var sandbox = await SandboxMachine.BootAsync(hypervisor, guest, shape, options, memory).ConfigureAwait(false))
            {
                await Rehearsal.PlayAsync(sandbox.Agent).ConfigureAwait(false);
                await sandbox.Machine.PauseAsync().ConfigureAwait(false);
                await sandbox.Machine.SaveStateAsync(kept).ConfigureAwait(false);
                await sandbox.Machine.QuitAsync(TimeSpan.FromSeconds(30)).ConfigureAwait(false);
            }

            memory.Seal();
            memory.SaveTo(saved + ".new");
            File.Move(saved + ".new", saved, overwrite: true);
            return new Template(key, shape, guest, memory, kept, writable);
        }
        catch
        {
            memory.Dispose();
            throw;
        }
    }
}
