using Hull.Linux.Abi;

namespace Hull.Linux.Cgroups;

/// <summary>Takes memory from a cgroup that has too much of it, without ending anything for that.</summary>
public static class CgroupMemory
{
    /// <summary>
    /// Makes the cgroup keep no more than so many bytes, as far as what it has can be given back.
    /// <para>
    /// v2: memory.high, which stays until <see cref="Release"/>; beyond it processes are slowed down and reclaimed from, and never
    /// killed (cgroup-v2.rst). v1 has no such limit: lowering the hard one reclaims at once (cgroup-v1/memory.rst, 4.1), and it is
    /// put back right after, with the killer off in between; what the cgroup then uses again is taken again the next time.
    /// </para>
    /// </summary>
    public static void Press(ICgroup cgroup, long bytes)
    {
        if (cgroup.Version == CgroupVersion.V2)
        {
            CgroupFile.Write(cgroup.Paths[""], "memory.high", bytes);
            return;
        }

        if (!cgroup.Paths.TryGetValue("memory", out var directory)) return;
        const string LimitFile = "memory.limit_in_bytes";
        const string KillerFile = "memory.oom_control";
        var limit = CgroupFile.Read(directory, LimitFile);
        var isKillerOff = (CgroupFile.TryRead(directory, KillerFile) ?? "").StartsWith("oom_kill_disable 1", StringComparison.Ordinal);
        if (!isKillerOff) CgroupFile.Write(directory, KillerFile, 1);
        try
        {
            // EBUSY: it went as low as it could.
            var errno = CgroupFile.TryWrite(directory + "/" + LimitFile, Number.Text(bytes));
            if (errno is not (Errno.None or Errno.EBUSY)) throw Check.Failure(errno, $"write \"{bytes}\" to {directory}/{LimitFile}");
        }
        finally
        {
            CgroupFile.TryWrite(directory + "/" + LimitFile, limit);
            if (!isKillerOff) CgroupFile.TryWrite(directory + "/" + KillerFile, "0");
        }
    }

    /// <summary>Lets it have again what was taken.</summary>
    public static void Release(ICgroup cgroup)
    {
        if (cgroup.Version == CgroupVersion.V2) CgroupFile.TryWrite(cgroup.Paths[""] + "/memory.high", "max");
    }
}
