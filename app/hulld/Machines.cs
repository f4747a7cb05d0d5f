using Hull.Engine;
using Hull.Engine.Machines;
using Hull.Hypervisor;
using Hull.Hypervisor.Qemu;

namespace Hull.Daemon;

/// <summary>Full machines of this engine, on QEMU. It is looked for when the first machine needs it.</summary>
internal static class Machines
{
    public static Task<MachineManager> OpenAsync(HullEngine engine, Logger log, CancellationToken cancellationToken)
    {
        var options = engine.Options;
        var found = new Dictionary<string, Task<IHypervisor>>();
        var cache = Path.Combine(options.DataRoot, "machine-cache");
        return MachineManager.OpenAsync(new MachineManagerOptions(
            Path.Combine(options.DataRoot, "machines"), Path.Combine(options.ExecRoot, "machines"),
            (architecture, cancellation) =>
            {
                lock (found)
                {
                    // A failed search is made again: the operator may have installed what was missing.
                    if (!found.TryGetValue(architecture, out var search) || search.IsFaulted || search.IsCanceled)
                        found[architecture] = search = DetectAsync(architecture, cache, cancellation);
                    return search;
                }
            }, engine.Networks)
        {
            Log = log.Line,
            CgroupParent = options.CgroupParent,
            Admission = engine.Admission,
            Groups = engine.Groups,
            ReservedPercent = options.Resources.VmMemoryPercent,
        }, TimeProvider.System, cancellationToken);
    }

    private static async Task<IHypervisor> DetectAsync(string architecture, string cache, CancellationToken cancellationToken) =>
        await QemuHypervisor.DetectAsync(architecture, Directory.CreateDirectory(cache).FullName, cancellationToken).ConfigureAwait(false);
}
