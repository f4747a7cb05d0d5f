using Hull.Core;
using Hull.Oci.Runtime;

namespace Hull.Engine.Users;

/// <summary>Finds a range of its own for each workload that wants one.</summary>
internal static class IdRanges
{
    /// <summary>The first range of <paramref name="size"/> ids in what is set aside that none of the taken ones touches.</summary>
    /// <param name="kind">What they are, for the error: user or group.</param>
    public static IReadOnlyList<IdMapping> Allocate(IReadOnlyList<HostRange> setAside, IEnumerable<IdMapping> taken, uint size, string kind)
    {
        var used = taken.OrderBy(mapping => mapping.HostId).ToList();
        foreach (var range in setAside)
        {
            ulong start = range.Start;
            foreach (var mapping in used)
            {
                if (start + size <= mapping.HostId) break;
                start = Math.Max(start, (ulong)mapping.HostId + mapping.Size);
            }

            if (start + size <= range.End) return [new IdMapping { ContainerId = 0, HostId = (uint)start, Size = size }];
        }

        throw new HullException(ErrorKind.ResourceExhausted,
            $"no {size} {kind} ids in a row are free of those set aside for '{EngineOptions.AutoUser}': remove workloads, use --userns auto:size=N with less, or add a range to {(kind == "user" ? "/etc/subuid" : "/etc/subgid")}");
    }
}
