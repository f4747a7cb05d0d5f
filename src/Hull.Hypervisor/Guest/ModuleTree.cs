using Hull.Linux.Compression;
using Hull.Linux.Files;

namespace Hull.Hypervisor.Guest;

/// <summary>
/// The modules of a kernel package. Dependencies are read from the modules themselves: <c>modules.dep</c> is made
/// by depmod(8) when a package is installed and is not in it.
/// </summary>
public sealed class ModuleTree
{
    private const int LargestModule = 64 << 20;

    private readonly Dictionary<string, string> _files = [];
    private readonly HashSet<string> _builtIn = [];

    /// <param name="directory">The folder <c>lib/modules/&lt;release&gt;</c>.</param>
    public ModuleTree(string directory)
    {
        foreach (var file in Directory.EnumerateFiles(directory, "*.ko*", SearchOption.AllDirectories))
            _files[NameOf(file)] = file;
        var builtIn = Path.Combine(directory, "modules.builtin");
        if (!File.Exists(builtIn)) return;
        foreach (var line in File.ReadLines(builtIn)) _builtIn.Add(NameOf(line));
    }

    /// <summary>
    /// Files of the wanted modules and of all they need, each after what it depends on. A wanted module that is
    /// built in is left out; one that the kernel does not have at all is <see cref="ErrorKind.Unsupported"/>
    /// unless <paramref name="optional"/> names it.
    /// </summary>
    public IReadOnlyList<ModuleFile> Resolve(IEnumerable<string> wanted, IReadOnlySet<string> optional)
    {
        var order = new List<ModuleFile>();
        var state = new Dictionary<string, bool>();
        foreach (var name in wanted) Visit(Canonical(name), name, optional, state, order);
        return order;
    }

    private void Visit(string name, string neededBy, IReadOnlySet<string> optional, Dictionary<string, bool> state,
        List<ModuleFile> order)
    {
        if (state.TryGetValue(name, out var done))
        {
            if (!done) throw HullException.Corrupted($"kernel module '{name}' depends on itself");
            return;
        }

        if (!_files.TryGetValue(name, out var path))
        {
            if (_builtIn.Contains(name) || optional.Contains(name)) return;
            throw HullException.Unsupported($"the guest kernel has no module '{name}', which '{neededBy}' needs");
        }

        state[name] = false;
        var content = ReadModule(path);
        foreach (var dependency in DependenciesOf(content)) Visit(dependency, name, optional, state, order);
        state[name] = true;
        order.Add(new ModuleFile(name, content));
    }

    private static IEnumerable<string> DependenciesOf(byte[] module)
    {
        foreach (var (key, value) in ElfSections.ModuleInfo(module))
        {
            // A soft dependency "pre: crc32c" names a crypto alias, which only modprobe resolves; see GuestModules.
            if (key != "depends") continue;
            foreach (var name in value.Split(',', StringSplitOptions.RemoveEmptyEntries)) yield return Canonical(name);
        }
    }

    private static byte[] ReadModule(string path) => Path.GetExtension(path) switch
    {
        ".ko" => File.ReadAllBytes(path),
        ".xz" => WholeStream.Decompress(new XzDecompressor(), File.ReadAllBytes(path), path, LargestModule),
        ".zst" => WholeStream.Decompress(new ZstdDecompressor(), File.ReadAllBytes(path), path, LargestModule),
        ".gz" => WholeStream.Gunzip(File.ReadAllBytes(path)),
        var extension => throw HullException.Unsupported($"kernel modules packed as '{extension}' are not supported: {path}"),
    };

    private static string NameOf(string path)
    {
        var name = Path.GetFileName(path);
        var dot = name.IndexOf(".ko", StringComparison.Ordinal);
        return Canonical(dot < 0 ? name : name[..dot]);
    }

    /// <summary>The kernel takes dashes and underscores in module names for the same.</summary>
    private static string Canonical(string name) => name.Replace('-', '_');
}

/// <summary>A module in load order.</summary>
public sealed record ModuleFile(string Name, byte[] Content);
