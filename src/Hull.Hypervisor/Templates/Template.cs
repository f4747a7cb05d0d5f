using Hull.Hypervisor.Guest;
using Hull.Hypervisor.Sandboxes;

namespace Hull.Hypervisor.Templates;

/// <summary>A booted machine, stopped at the release gate, from which others begin.</summary>
/// <param name="Key">Digest of everything that must be the same for its state to fit; see <see cref="TemplateKey"/>.</param>
/// <param name="StatePath">The state of its devices.</param>
/// <param name="WritablePath">
/// The disk for what is written that it has mounted read-only, of <see cref="Disks.WritableDisk.DefaultBytes"/>. Never changed.
/// </param>
/// <param name="DevicesOnly">The state was saved by <see cref="Qemu.QemuMachine.SaveDevicesAsync"/>: it does not speak of RAM at all.</param>
public sealed record Template(string Key, SandboxShape Shape, GuestImage Guest, MemoryFile Memory, string StatePath, string WritablePath,
    bool DevicesOnly = false) : IDisposable
{
    public void Dispose() => Memory.Dispose();
}
