using Hull.Engine.Drivers.Shims;
using Hull.Engine.Drivers.Vm;
using Hull.Engine.Machines;
using Hull.Engine.Resources;
using Hull.Engine.Workloads;
using Hull.Images.Snapshots;
using Hull.Linux.Cgroups;
using Hull.Linux.Files;
using Hull.Network;

namespace Hull.Engine.Audit;

/// <summary>Something that exists and that nobody owns.</summary>
/// <param name="Kind">process, cgroup, mount, runtime, state, snapshot or one of the network's kinds.</param>
public sealed record Leak(string Kind, string Subject);

/// <summary>
/// Compares what the kernel and the directories have with what the engine knows. Meant for a quiet engine: what is being
/// made or taken back at that moment looks like a leak.
/// </summary>
public static class LeakAudit
{
    public static async Task<IReadOnlyList<Leak>> RunAsync(IHullEngine engine, NetworkManager? networks, ISnapshotter? snapshots,
        CancellationToken cancellationToken)
    {
        var all = await engine.Workloads.ListAsync(new WorkloadFilter { All = true }, false, cancellationToken).ConfigureAwait(false);
        var known = all.Select(workload => workload.Id).ToHashSet();
        var running = all.Where(workload => workload.State.IsRunning).Select(workload => workload.Id).ToHashSet();
        var leaks = new List<Leak>();
        leaks.AddRange(Cgroups(engine, engine.Options, running));
        leaks.AddRange(Directories("runtime", Path.Combine(engine.Options.ExecRoot, "i"), running.Select(id => id[..32]).ToHashSet()));
        leaks.AddRange(Directories("runtime", Path.Combine(engine.Options.ExecRoot, "runtime"), running));
        leaks.AddRange(Directories("state", Path.Combine(engine.Options.DataRoot, "workloads"), known));
        leaks.AddRange(Directories("runtime", Path.Combine(engine.Options.ExecRoot, "vm"), running));
        leaks.AddRange(Shims(engine.Options, running));
        leaks.AddRange(Mounts(engine.Options));
        if (snapshots is not null)
        {
            // Views of mounted images are named by their workload's id, a dot and digits.
            leaks.AddRange(snapshots.List().Where(snapshot => snapshot.Kind is SnapshotKind.Active or SnapshotKind.View
                && snapshot.Key.Split('.')[0] is var id && IsId(id) && !known.Contains(id))
                .Select(snapshot => new Leak("snapshot", snapshot.Key)));
        }

        if (networks is not null)
        {
            leaks.AddRange((await networks.AuditAsync(cancellationToken).ConfigureAwait(false)).Where(finding => finding.Leaked)
                .Select(finding => new Leak(finding.Kind, finding.Subject)));
        }

        return leaks;
    }

    private static IEnumerable<Leak> Cgroups(IHullEngine engine, EngineOptions options, HashSet<string> running)
    {
        var directories = CgroupManager.Name("audit", options.CgroupParent).Paths.Values.Distinct().ToList();
        var groups = InstanceCgroups.Groups(options.CgroupParent);
        foreach (var directory in directories.Concat(directories.SelectMany(parent => groups.Select(group => Path.Combine(parent, group)))))
        {
            if (!Directory.Exists(directory)) continue;
            foreach (var path in Directory.EnumerateDirectories(directory))
            {
                var name = Path.GetFileName(path);
                var isGroup = groups.Contains(name) && engine.Groups.List().Any(status => status.Group.CgroupName == name);
                if (!running.Contains(name) && !isGroup && !MachineManager.OwnsCgroup(options.ExecRoot, name)
                    && !LiveTemplates.OwnsCgroup(options.ExecRoot, name)) yield return new Leak("cgroup", path);
            }
        }
    }

    private static IEnumerable<Leak> Directories(string kind, string root, HashSet<string> owners)
    {
        if (!Directory.Exists(root)) yield break;
        foreach (var path in Directory.EnumerateDirectories(root))
        {
            var name = Path.GetFileName(path);
            // Directories that are no workload's (caches) have other names.
            if (IsId(name) && !owners.Contains(name)) yield return new Leak(kind, path);
        }
    }

    private static bool IsId(string name) => name.Length is 32 or 64 && name.All(char.IsAsciiHexDigitLower);

    /// <summary>A shim names its runtime directory on its command line.</summary>
    private static IEnumerable<Leak> Shims(EngineOptions options, HashSet<string> running)
    {
        var mark = Path.Combine(options.ExecRoot, "i") + "/";
        var program = Path.GetFileName(new ShimLauncher(options.ShimPath).Program);
        foreach (var process in Directory.EnumerateDirectories("/proc"))
        {
            if (!Path.GetFileName(process).All(char.IsAsciiDigit)) continue;
            string[] words;
            try
            {
                words = System.Text.Encoding.UTF8.GetString(AtomicFile.Read(process + "/cmdline", 1 << 16)).Split('\0');
            }
            catch (Hull.Core.HullException)
            {
                continue;
            }

            if (words is not [var name, var directory, ..] || Path.GetFileName(name) != program || !directory.StartsWith(mark, StringComparison.Ordinal)) continue;
            if (!running.Any(id => directory == mark + id[..32])) yield return new Leak("process", $"{Path.GetFileName(process)} for {directory}");
        }
    }

    /// <summary>Roots are attached in shims' namespaces alone: one in ours is a leak, whoever it is for.</summary>
    private static IEnumerable<Leak> Mounts(EngineOptions options)
    {
        var mark = Path.Combine(options.ExecRoot, "i") + "/";
        foreach (var line in System.Text.Encoding.UTF8.GetString(AtomicFile.Read("/proc/self/mountinfo", 16 << 20)).Split('\n'))
        {
            var fields = line.Split(' ');
            if (fields.Length > 4 && fields[4].StartsWith(mark, StringComparison.Ordinal)) yield return new Leak("mount", fields[4]);
        }
    }
}
