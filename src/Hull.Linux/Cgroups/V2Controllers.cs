using Hull.Linux.Abi;

namespace Hull.Linux.Cgroups;

/// <summary>
/// Controllers come down a v2 tree one level at a time: each parent must name them in cgroup.subtree_control, which it may
/// only do while it has no processes itself.
/// </summary>
internal static class V2Controllers
{
    // Always wanted, so that statistics have them and a later update can set a limit.
    private static readonly string[] Usual = ["cpuset", "cpu", "io", "memory", "pids"];

    internal static void Enable(string directory, string root, CgroupLimits limits)
    {
        var wanted = Wanted(limits, directory, root);
        if (wanted.Count == 0) return;
        // From the root down; each level can hand on what the one above gave it.
        for (var end = root.Length; end < directory.Length;)
        {
            var parent = directory[..end];
            var all = "+" + string.Join(" +", wanted);
            if (CgroupFile.TryWrite(parent + "/cgroup.subtree_control", all) != Errno.None)
            {
                // One that is refused must not keep the others away; a limit that needs it fails with its own words.
                foreach (var controller in wanted) CgroupFile.TryWrite(parent + "/cgroup.subtree_control", "+" + controller);
            }

            var next = directory.IndexOf('/', end + 1);
            if (next < 0) break;
            end = next;
        }
    }

    /// <summary>What the cgroup lacks of the usual controllers and those its limits need.</summary>
    private static List<string> Wanted(CgroupLimits limits, string directory, string root)
    {
        var present = CgroupFile.Read(directory, "cgroup.controllers").Split(' ');
        var wanted = new List<string>(Usual);
        if (limits.HugePages.Count > 0) wanted.Add("hugetlb");
        if (limits.Rdma.Count > 0) wanted.Add("rdma");
        foreach (var (file, _) in limits.Unified)
        {
            var controller = file[..Math.Max(0, file.IndexOf('.'))];
            if (controller is not ("" or "cgroup") && !wanted.Contains(controller)) wanted.Add(controller);
        }

        wanted.RemoveAll(controller => Array.IndexOf(present, controller) >= 0);
        if (wanted.Count == 0) return wanted;
        var available = CgroupFile.Read(root, "cgroup.controllers").Split(' ');
        wanted.RemoveAll(controller => Array.IndexOf(available, controller) < 0);
        return wanted;
    }
}
