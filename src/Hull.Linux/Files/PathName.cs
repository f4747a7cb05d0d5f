using Hull.Core;

namespace Hull.Linux.Files;

/// <summary>Path text, without looking at any file system.</summary>
public static class PathName
{
    /// <summary>Refuses everything that is not one component: empty, <c>.</c>, <c>..</c> or with a slash.</summary>
    public static void RequireSingle(string name)
    {
        if (name is "" or "." or ".." || name.Contains('/'))
            throw HullException.Invalid($"'{name}' is not the name of one directory entry");
    }

    /// <summary>The components without empty ones and <c>.</c>; <c>..</c> stays.</summary>
    public static List<string> Split(string path)
    {
        var parts = new List<string>();
        foreach (var range in path.AsSpan().Split('/'))
        {
            var part = path.AsSpan()[range];
            if (!part.IsEmpty && part is not ".") parts.Add(part.ToString());
        }

        return parts;
    }

    /// <summary>
    /// The absolute form with <c>.</c>, <c>..</c> and double slashes removed by text alone; <c>..</c> never leaves <c>/</c>.
    /// Only for names whose meaning does not depend on symbolic links, such as mount destinations of a spec.
    /// </summary>
    public static string Clean(string path)
    {
        var kept = new List<string>();
        foreach (var part in Split(path))
        {
            if (part != "..") kept.Add(part);
            else if (kept.Count > 0) kept.RemoveAt(kept.Count - 1);
        }

        return "/" + string.Join('/', kept);
    }

    /// <summary>Whether the path, by text alone, climbs above where it begins.</summary>
    public static bool Climbs(string path)
    {
        var depth = 0;
        foreach (var part in Split(path))
        {
            depth += part == ".." ? -1 : 1;
            if (depth < 0) return true;
        }

        return false;
    }

    /// <summary>The directory part and the last component; throws where the last is no name (empty, <c>.</c>, <c>..</c>).</summary>
    public static (string Directory, string Name) SplitLast(string path)
    {
        var end = path.Length;
        while (end > 0 && path[end - 1] == '/') end--;
        var trimmed = path[..end];
        var slash = trimmed.LastIndexOf('/');
        var name = trimmed[(slash + 1)..];
        if (name is "" or "." or "..") throw HullException.Invalid($"'{path}' does not end in a name");
        return (slash < 0 ? "." : slash == 0 ? "/" : trimmed[..slash], name);
    }
}
