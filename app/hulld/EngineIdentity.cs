using System.Text;
using Hull.Linux.Files;

namespace Hull.Daemon;

/// <summary>The engine's own id: made at its first start, kept with its state.</summary>
internal static class EngineIdentity
{
    public static string Read(string dataRoot)
    {
        var path = Path.Combine(dataRoot, "engine-id");
        if (File.Exists(path) && Guid.TryParse(Encoding.ASCII.GetString(AtomicFile.Read(path)).Trim(), out var known)) return known.ToString();
        var made = Guid.NewGuid().ToString();
        AtomicFile.Write(path, Encoding.ASCII.GetBytes(made + "\n"));
        return made;
    }
}
