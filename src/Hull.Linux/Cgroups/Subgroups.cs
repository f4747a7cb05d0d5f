using Hull.Core;
using Hull.Linux.Abi;

namespace Hull.Linux.Cgroups;

/// <summary>
/// Cgroups below a container's for one further process, as runc's <c>exec --cgroup</c> has them: one path for all, or for
/// some controllers each, <c>cpu,cpuacct:path</c>. They must be there already.
/// </summary>
internal sealed class Subgroups
{
    private readonly Dictionary<string, string> _pathOfController = [];

    /// <param name="arguments">None is the container's own cgroup.</param>
    /// <param name="controllers">Those that can be named; on v2 none can.</param>
    internal Subgroups(IReadOnlyList<string>? arguments, IReadOnlyCollection<string> controllers)
    {
        IsExplicit = arguments is { Count: > 0 };
        foreach (var argument in arguments ?? [])
        {
            var colon = argument.IndexOf(':');
            var path = Below(argument[(colon + 1)..]);
            if (colon < 0 && arguments!.Count > 1) throw HullException.Invalid($"the cgroup {argument} names no controller: of several each must, as in cpu:{argument}");
            foreach (var controller in colon < 0 ? [""] : argument[..colon].Split(','))
            {
                if (controller.Length > 0 && !controllers.Contains(controller)) throw HullException.Invalid($"unknown controller {controller} in the cgroup {argument}");
                _pathOfController[controller] = path;
            }
        }
    }

    /// <summary>Whether any was named: then one that is missing is an error.</summary>
    internal bool IsExplicit { get; }

    /// <summary>The path below the cgroup in the hierarchy of these controllers.</summary>
    internal string PathFor(IEnumerable<string> controllers)
    {
        foreach (var controller in controllers)
        {
            if (_pathOfController.TryGetValue(controller, out var path)) return path;
        }

        return _pathOfController.GetValueOrDefault("", "");
    }

    internal static HullException Missing(string directory, Errno errno) =>
        Check.Failure(errno, $"enter the cgroup: adding pid 0, the process itself, to {directory}/cgroup.procs");

    /// <summary>A path that leaves the cgroup would leave its limits.</summary>
    private static string Below(string path) => path.Split('/').Contains("..")
        ? throw HullException.Invalid($"exec: {path} is not a sub cgroup path")
        : CgroupTree.Clean(path);
}
