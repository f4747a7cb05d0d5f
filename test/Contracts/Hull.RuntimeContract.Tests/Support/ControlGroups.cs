namespace Hull.RuntimeContract.Tests;

/// <summary>This machine's control groups, as a test reads them from outside.</summary>
internal static class ControlGroups
{
    internal const string Root = "/sys/fs/cgroup";

    /// <summary>Parent of every cgroup of this run.</summary>
    internal static string Parent { get; } = $"/hull-contract-{Environment.ProcessId}";

    internal static bool IsV2 { get; } = File.Exists(Root + "/cgroup.controllers");

    internal static string Directory(string controller, string cgroupsPath) =>
        IsV2 ? Root + cgroupsPath : $"{Root}/{controller}{cgroupsPath}";

    /// <summary>A value by its v1 controller and file, and its v2 file.</summary>
    internal static string Read(string cgroupsPath, string controller, string v1, string v2) =>
        File.ReadAllText(Path.Combine(Directory(controller, cgroupsPath), IsV2 ? v2 : v1)).Trim();

    /// <summary>Hierarchies in which a cgroup of that path is there.</summary>
    internal static IEnumerable<string> Existing(string cgroupsPath)
    {
        foreach (var hierarchy in IsV2 ? [Root] : System.IO.Directory.GetDirectories(Root))
        {
            var path = hierarchy + cgroupsPath;
            // A directory without this file is no cgroup: crun makes some where a hierarchy is not mounted.
            if (File.Exists(path + "/cgroup.controllers") || File.Exists(path + "/cgroup.clone_children")) yield return path;
        }
    }

    internal static void RemoveParent()
    {
        foreach (var path in Existing(Parent).ToArray()) Remove(path);
        if (!IsV2 && System.IO.Directory.Exists(Root + "/hugetlb" + Parent)) System.IO.Directory.Delete(Root + "/hugetlb" + Parent, recursive: true);
    }

    private static void Remove(string path)
    {
        foreach (var child in System.IO.Directory.GetDirectories(path)) Remove(child);
        System.IO.Directory.Delete(path);
    }
}
