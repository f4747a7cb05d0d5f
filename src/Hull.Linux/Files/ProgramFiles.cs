using System.Text;
using Hull.Core;

namespace Hull.Linux.Files;

/// <summary>
/// Reads the files that a program begins with, itself, its interpreter and its libraries, for the kernel to have them in memory.
/// Only that: what cannot be read or makes no sense is left for whoever runs it.
/// </summary>
public static class ProgramFiles
{
    private const int MostFiles = 64;
    private const int MostBytes = 32 << 20;

    /// <param name="candidates">Paths in the root, of which the first that is there is the program.</param>
    /// <returns>What was looked at, by its path in the root.</returns>
    public static IReadOnlyList<string> Read(RootDirectory root, IReadOnlyList<string> candidates)
    {
        var waiting = new Queue<string>(candidates.Where(path => root.Exists(path)).Take(1));
        var seen = new List<string>(waiting);
        while (waiting.TryDequeue(out var path))
        {
            foreach (var next in ReadOne(root, path))
            {
                if (next.Length == 0 || seen.Count == MostFiles || seen.Contains(next)) continue;
                seen.Add(next);
                waiting.Enqueue(next);
            }
        }

        return seen;
    }

    /// <summary>Answers what it needs besides.</summary>
    private static IReadOnlyList<string> ReadOne(RootDirectory root, string path)
    {
        try
        {
            var content = root.TryReadAllBytes(path, MostBytes);
            if (content is null) return [];
            if (content is [(byte)'#', (byte)'!', ..]) return [ScriptInterpreter(content)];
            var libraries = ElfSections.Needed(content).Select(name =>
                ElfSections.LibraryDirectories.Select(directory => $"{directory}/{name}").FirstOrDefault(library => root.Exists(library)) ?? "");
            return [.. libraries.Append(ElfSections.Interpreter(content))];
        }
        catch (HullException)
        {
            return [];
        }
    }

    /// <summary>The first word behind <c>#!</c> (execve(2)).</summary>
    private static string ScriptInterpreter(byte[] content)
    {
        var line = content.AsSpan(2);
        var end = line.IndexOf((byte)'\n');
        return Encoding.UTF8.GetString(end < 0 ? [] : line[..end]).Trim().Split(' ')[0];
    }
}
