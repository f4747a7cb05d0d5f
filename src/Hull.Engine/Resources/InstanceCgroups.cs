using Hull.Linux.Cgroups;

namespace Hull.Engine.Resources;

/// <summary>Where the cgroup of an instance may be whose spec is lost: below the engine's, or below that of any group.</summary>
internal static class InstanceCgroups
{
    public static IEnumerable<ICgroup> Find(string parent, string id) =>
        Groups(parent).Select(group => CgroupManager.Name(id, $"{parent}/{group}/{id}")).Where(cgroup => cgroup.Exists).Prepend(CgroupManager.Name(id, $"{parent}/{id}"));

    /// <summary>Names of the cgroups of groups.</summary>
    public static IReadOnlyList<string> Groups(string parent) =>
    [
        .. CgroupManager.Name("groups", parent).Paths.Values.Distinct().Where(Directory.Exists)
            .SelectMany(directory => Directory.EnumerateDirectories(directory, ResourceGroup.CgroupPrefix + "*"))
            .Select(path => Path.GetFileName(path)!).Distinct(),
    ];
}
