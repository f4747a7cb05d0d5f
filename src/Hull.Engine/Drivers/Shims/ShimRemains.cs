using Hull.Linux.Cgroups;
using Hull.Linux.Processes;

namespace Hull.Engine.Drivers.Shims;

/// <summary>What a shim leaves when it ends or is killed, and how it is taken back; the same whatever it supervised.</summary>
internal static class ShimRemains
{
    public static ICgroup CgroupOf(InstanceSpec spec) => CgroupManager.Name(spec.Id, spec.Spec.Linux?.CgroupsPath);

    /// <summary>
    /// Ends what a killed shim left: every process of the cgroup, which no fork escapes. Records why, unless the shim
    /// had recorded an end before it died.
    /// </summary>
    public static async Task<ExitRecord> EndOrphanAsync(InstanceSpec spec, DateTimeOffset? startedAt, TimeProvider clock)
    {
        await Task.Run(() => CgroupOf(spec).Kill(9)).ConfigureAwait(false);
        return ShimReconnection.RecordLoss(spec, startedAt, clock);
    }

    /// <summary>Takes back what an instance had; the shim, if it still runs, is killed.</summary>
    /// <param name="runtimeRoot">Directory in which the OCI runtime keeps its state of the instance.</param>
    public static Task TakeBackAsync(InstanceSpec spec, ChildProcess? shim, string runtimeRoot) => Task.Run(() =>
    {
        if (shim is not null && shim.TryWait(0) is null)
        {
            shim.Kill(9);
            shim.Wait();
        }

        var cgroup = CgroupOf(spec);
        cgroup.Kill(9);
        cgroup.Remove();
        InstanceFiles.RemoveTree(Path.Combine(runtimeRoot, spec.Id));
        InstanceFiles.RemoveTree(spec.RuntimeDirectory);
    });
}
