using Hull.Engine.Audit;
using Hull.Images.Snapshots;
using Hull.Network;

namespace Hull.Engine.Diagnosis;

/// <summary>Everything <c>hull doctor</c> shows: the machine, the engine's networks on it, and what nobody owns.</summary>
public static class EngineDiagnosis
{
    public static async Task<IReadOnlyList<Finding>> RunAsync(IHullEngine engine, ISnapshotter? snapshots, CancellationToken cancellationToken)
    {
        var findings = new List<Finding>(await HostChecks.RunAsync(engine.Options, TimeProvider.System, cancellationToken).ConfigureAwait(false));
        findings.AddRange((await engine.Networks.DiagnoseAsync(cancellationToken).ConfigureAwait(false)).Select(ToFinding));
        findings.AddRange(await LeaksAsync(engine, snapshots, cancellationToken).ConfigureAwait(false));
        return findings;
    }

    /// <summary>Only what nobody owns.</summary>
    public static async Task<IReadOnlyList<Finding>> LeaksAsync(IHullEngine engine, ISnapshotter? snapshots, CancellationToken cancellationToken)
    {
        var leaks = await LeakAudit.RunAsync(engine, engine.Networks, snapshots, cancellationToken).ConfigureAwait(false);
        return leaks.Count == 0
            ? [new Finding("leaks", FindingLevel.Ok, "everything that exists belongs to a workload or network")]
            : [.. leaks.Select(leak => new Finding("leaks", FindingLevel.Error, $"{leak.Kind} {leak.Subject} belongs to nobody", RemedyOf(leak)))];
    }

    private static string RemedyOf(Leak leak) => leak.Kind switch
    {
        "process" => $"kill -9 {leak.Subject.Split(' ')[0]}",
        "cgroup" => $"end its processes (cgroup.procs), then rmdir {leak.Subject}",
        "mount" => $"umount -l {leak.Subject}",
        "veth" or "bridge" or "tap" => $"ip link delete {leak.Subject}",
        "runtime" or "state" => $"rm -r {leak.Subject}",
        _ => "restart the engine: it takes back what it finds",
    };

    private static Finding ToFinding(NetworkDiagnosis found) => new("network",
        found.Severity switch { "error" => FindingLevel.Error, "warning" => FindingLevel.Warning, _ => FindingLevel.Ok }, found.Message, found.Advice);
}
