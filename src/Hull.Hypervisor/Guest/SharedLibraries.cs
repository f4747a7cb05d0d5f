using Hull.Linux.Files;

namespace Hull.Hypervisor.Guest;

/// <summary>
/// Finds what a dynamically linked program needs at run time: its program interpreter and, transitively, the
/// libraries in its <c>DT_NEEDED</c> entries (System V gABI, chapter 5), from the directories of this machine.
/// </summary>
public static class SharedLibraries
{
    /// <param name="extra">Libraries the program opens by name at run time, added where this machine has them.</param>
    /// <returns>Path in the guest and file on this machine, the interpreter first, then by name.</returns>
    public static IReadOnlyList<(string GuestPath, string HostPath)> Closure(string program, IEnumerable<string> extra)
    {
        var content = File.ReadAllBytes(program);
        var found = new SortedDictionary<string, string>(StringComparer.Ordinal);
        var queue = new Queue<string>(ElfSections.Needed(content));
        foreach (var name in extra.Where(name => Locate(name) is not null)) queue.Enqueue(name);
        while (queue.TryDequeue(out var name))
        {
            if (found.ContainsKey(name)) continue;
            var path = Locate(name) ?? throw HullException.NotFound($"library {name}, which {program} needs, is not installed");
            found[name] = path;
            foreach (var next in ElfSections.Needed(File.ReadAllBytes(path))) queue.Enqueue(next);
        }

        var interpreter = ElfSections.Interpreter(content);
        var result = new List<(string, string)>();
        if (interpreter.Length > 0)
        {
            result.Add((interpreter, interpreter));
            found.Remove(Path.GetFileName(interpreter));
        }

        result.AddRange(found.Select(entry => ("/lib/" + entry.Key, entry.Value)));
        return result;
    }

    private static string? Locate(string name) =>
        ElfSections.LibraryDirectories.Select(directory => Path.Combine(directory, name)).FirstOrDefault(File.Exists);
}
