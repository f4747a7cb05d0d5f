using Hull.Core;
using Hull.Linux.Abi;

namespace Hull.Linux.Cgroups;

/// <summary>Directories of a hierarchy: making, listing and removing them, and the processes inside.</summary>
internal static class CgroupTree
{
    /// <summary>How long removal waits for processes that are dying.</summary>
    internal static readonly TimeSpan RemovalPatience = TimeSpan.FromSeconds(10);

    /// <summary>A path of cgroups without "", "." and "..": absolute paths stay below the root, relative ones below their base.</summary>
    internal static string Clean(string path)
    {
        if (path.Contains('\0') || path.Contains('\n')) throw HullException.Invalid("cgroupsPath contains a control character");
        var parts = new List<string>();
        foreach (var part in path.Split('/'))
        {
            if (part is "" or ".") continue;
            if (part != "..") parts.Add(part);
            else if (parts.Count > 0) parts.RemoveAt(parts.Count - 1);
        }

        return string.Join('/', parts);
    }

    internal static string Join(string directory, string relative) =>
        relative is "" or "/" ? directory : directory == "/" ? "/" + relative.TrimStart('/') : directory + "/" + relative.TrimStart('/');

    /// <summary>
    /// Makes a directory and the ones above it; each one made is added to <paramref name="made"/>, outermost first, and
    /// given to <paramref name="whenMade"/> before anything is made in it.
    /// </summary>
    internal static Errno Make(string path, string root, List<string> made, Action<string>? whenMade = null)
    {
        for (var attempt = 0; ; attempt++)
        {
            var errno = CgroupFile.MakeDirectory(path);
            if (errno == Errno.ENOENT && path.Length > root.Length && attempt < 100)
            {
                // The parent may be removed by somebody else between the two calls: try again then.
                errno = Make(path[..path.LastIndexOf('/')], root, made, whenMade);
                if (errno is Errno.None or Errno.EEXIST) continue;
            }

            if (errno != Errno.None) return errno;
            made.Add(path);
            whenMade?.Invoke(path);
            return Errno.None;
        }
    }

    /// <summary>A container that is made in a frozen cgroup would stop at its first step, and whoever makes it would wait for good.</summary>
    internal static void RefuseFrozen(string path, FreezerState state)
    {
        if (state is FreezerState.Frozen or FreezerState.Freezing) throw HullException.Conflict($"container's cgroup unexpectedly frozen: thaw {path}, or name another");
    }

    internal static IReadOnlyList<string> Children(string path)
    {
        try
        {
            return Directory.GetDirectories(path);
        }
        catch (Exception error) when (error is DirectoryNotFoundException or IOException)
        {
            return [];
        }
    }

    /// <summary>Removes a cgroup and all below it, waiting for the dying ones.</summary>
    internal static void Remove(string path)
    {
        var deadline = Environment.TickCount64 + (long)RemovalPatience.TotalMilliseconds;
        var pause = 1;
        while (true)
        {
            var errno = CgroupFile.RemoveDirectory(path);
            if (errno is Errno.None or Errno.ENOENT) return;
            if (errno is not (Errno.EBUSY or Errno.ENOTEMPTY)) throw Check.Failure(errno, $"remove cgroup {path}");
            foreach (var child in Children(path)) Remove(child);
            errno = CgroupFile.RemoveDirectory(path);
            if (errno is Errno.None or Errno.ENOENT) return;
            if (Environment.TickCount64 >= deadline)
            {
                throw HullException.Conflict(
                    $"cgroup {path} still has processes ({string.Join(' ', Processes(path, recursive: true).Take(5))}) and cannot be removed");
            }

            Thread.Sleep(pause);
            pause = Math.Min(pause * 2, 100);
        }
    }

    internal static List<int> Processes(string path, bool recursive)
    {
        var processes = new List<int>();
        Collect(path, recursive, processes);
        return processes;
    }

    private static void Collect(string path, bool recursive, List<int> processes)
    {
        var text = CgroupFile.TryRead(path, "cgroup.procs");
        if (text is null) return;
        foreach (var line in text.AsSpan().EnumerateLines())
        {
            // 0 stands for a process that this PID namespace does not see.
            if (int.TryParse(line, out var pid) && pid > 0) processes.Add(pid);
        }

        if (!recursive) return;
        foreach (var child in Children(path)) Collect(child, recursive, processes);
    }
}
