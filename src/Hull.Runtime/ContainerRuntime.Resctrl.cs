using Hull.Core;
using Hull.Linux;
using Hull.Linux.Abi;
using Hull.Linux.Cgroups;
using Hull.Linux.Resctrl;
using Hull.Oci.Runtime;
using Hull.Runtime.State;

namespace Hull.Runtime;

/// <content>Shares of cache and memory bandwidth, through resctrl (config-linux.md, "IntelRdt").</content>
public sealed partial class ContainerRuntime
{
    /// <summary>The group of resctrl a container is in; null where its configuration has no intelRdt.</summary>
    public ResctrlGroup? GetResctrl(string id)
    {
        using var directory = ContainerDirectory.Open(Options.Root, id, locked: false);
        return LoadResctrl(directory.ReadState());
    }

    private static ResctrlGroup? LoadResctrl(StoredState state) => state.Resctrl is { } record ? ResctrlGroup.Load(record) : null;

    private ResctrlGroup? NameResctrl(string id, IntelRdtSpec? spec) => spec is null
        ? null
        : ResctrlGroup.Name(Options.ResctrlRoot ?? ResctrlGroup.FindMount(), id, spec.ClosId, spec.EnableCmt || spec.EnableMbm);

    private static void PrepareResctrl(ResctrlGroup? group, IntelRdtSpec? spec)
    {
        if (group is null || spec is null) return;
        var limits = new ResctrlLimits(spec.L3CacheSchema, spec.MemBwSchema);
        string[] occupancy = spec.EnableCmt ? ["llc_occupancy"] : [], bandwidth = spec.EnableMbm ? ["mbm_total_bytes", "mbm_local_bytes"] : [];
        group.Prepare(limits, mustExist: limits.IsEmpty && !string.IsNullOrEmpty(spec.ClosId), [.. occupancy, .. bandwidth]);
    }

    /// <summary>Changes a container's limits; one that was in no group gets its own, with all tasks it has.</summary>
    private void UpdateResctrl(ContainerDirectory directory, StoredState state, ResctrlLimits limits)
    {
        if (LoadResctrl(state) is { } present)
        {
            present.Apply(limits);
            return;
        }

        var group = ResctrlGroup.Name(Options.ResctrlRoot ?? ResctrlGroup.FindMount(), state.Id, null, isMonitored: false);
        directory.WriteState(state with { Resctrl = group.Record });
        try
        {
            group.Prepare(limits, mustExist: false, []);
        }
        catch
        {
            directory.WriteState(state);
            throw;
        }

        AddTasks(group, CgroupManager.Load(state.Cgroup, state.Rootless));
    }

    /// <summary>Again until no new task is found: a task that is moved hands the group on, one that is not yet may fork meanwhile.</summary>
    private static void AddTasks(ResctrlGroup group, ICgroup cgroup)
    {
        var done = new HashSet<int>();
        bool found;
        do
        {
            found = false;
            foreach (var task in cgroup.Processes().SelectMany(TasksOf))
            {
                if (!done.Add(task)) continue;
                found = true;
                try
                {
                    group.Add(task);
                }
                catch (HullException error) when (error.Errno == Errno.ESRCH)
                {
                    // It ended meanwhile.
                }
            }
        }
        while (found);
    }

    private static IEnumerable<int> TasksOf(int pid)
    {
        try
        {
            return Directory.GetDirectories($"/proc/{pid}/task").Select(path => int.Parse(Path.GetFileName(path), System.Globalization.CultureInfo.InvariantCulture));
        }
        catch (IOException)
        {
            return [];
        }
    }
}
