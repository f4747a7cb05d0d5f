using System.Buffers.Binary;
using System.Text;

namespace Hull.Hypervisor.Guest;

/// <summary>
/// Finds what a dynamically linked program needs at run time: its program interpreter and, transitively, the
/// libraries in its <c>DT_NEEDED</c> entries (System V gABI, chapter 5), from the directories of this machine.
/// </summary>
public static class SharedLibraries
{
    private static readonly string[] Directories =
    [
        "/lib/x86_64-linux-gnu", "/usr/lib/x86_64-linux-gnu", "/lib/aarch64-linux-gnu", "/usr/lib/aarch64-linux-gnu",
        "/lib64", "/usr/lib64", "/lib", "/usr/lib",
    ];

    /// <param name="extra">Libraries the program opens by name at run time, added where this machine has them.</param>
    /// <returns>Path in the guest and file on this machine, the interpreter first, then by name.</returns>
    public static IReadOnlyList<(string GuestPath, string HostPath)> Closure(string program, IEnumerable<string> extra)
    {
        var content = File.ReadAllBytes(program);
        var found = new SortedDictionary<string, string>(StringComparer.Ordinal);
        var queue = new Queue<string>(Needed(content));
        foreach (var name in extra.Where(name => Locate(name) is not null)) queue.Enqueue(name);
        while (queue.TryDequeue(out var name))
        {
            if (found.ContainsKey(name)) continue;
            var path = Locate(name) ?? throw HullException.NotFound($"library {name}, which {program} needs, is not installed");
            found[name] = path;
            foreach (var next in Needed(File.ReadAllBytes(path))) queue.Enqueue(next);
        }

        var interpreter = Encoding.UTF8.GetString(ElfSections.Find(content, ".interp")).TrimEnd('\0');
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
        Directories.Select(directory => Path.Combine(directory, name)).FirstOrDefault(File.Exists);

    private static List<string> Needed(byte[] content)
    {
        var names = new List<string>();
        var dynamic = ElfSections.Find(content, ".dynamic");
        var strings = ElfSections.Find(content, ".dynstr");
        for (var at = 0; at + 16 <= dynamic.Length; at += 16)
        {
            const long neededTag = 1;
            if (BinaryPrimitives.ReadInt64LittleEndian(dynamic[at..]) != neededTag) continue;
            var offset = (int)BinaryPrimitives.ReadInt64LittleEndian(dynamic[(at + 8)..]);
            if ((uint)offset >= (uint)strings.Length) throw HullException.Corrupted("the ELF file has a broken string table");
            var text = strings[offset..];
            names.Add(Encoding.UTF8.GetString(text[..text.IndexOf((byte)0)]));
        }

        return names;
    }
}
