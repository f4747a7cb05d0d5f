using System.Xml.Linq;
using Hull.Testing;

namespace Hull.Architecture.Tests;

/// <summary>One project file: its name, and what it refers to directly.</summary>
internal sealed record Project(string Name, string Path, IReadOnlyList<string> References, IReadOnlyList<string> Packages,
    IReadOnlyList<string> Frameworks, bool AllowsUnsafe)
{
    public string Folder => System.IO.Path.GetDirectoryName(Path)!;
}

/// <summary>The checkout as text: what the laws are checked against.</summary>
internal static class SourceTree
{
    public static IReadOnlyDictionary<string, Project> Projects { get; } =
        Directory.EnumerateFiles(Repository.Root, "*.csproj", SearchOption.AllDirectories)
            .Where(path => !IsOutput(path))
            .Select(Load)
            .ToDictionary(project => project.Name);

    /// <summary>The product's projects: libraries and programs, without tests and benchmarks.</summary>
    public static IEnumerable<Project> Product =>
        Projects.Values.Where(project => Under(project.Path, "src") || Under(project.Path, "app"));

    /// <summary>All C# of the product, as repository-relative path and lines.</summary>
    public static IEnumerable<(string Path, string[] Lines)> ProductFiles => Files("src").Concat(Files("app"));

    public static IEnumerable<(string Path, string[] Lines)> Files(string folder) =>
        Directory.EnumerateFiles(System.IO.Path.Combine(Repository.Root, folder), "*.cs", SearchOption.AllDirectories)
            .Where(path => !IsOutput(path))
            .Select(path => (System.IO.Path.GetRelativePath(Repository.Root, path), File.ReadAllLines(path)));

    /// <summary>Everything a project reaches through its references, itself included.</summary>
    public static IReadOnlySet<string> Closure(string name)
    {
        var reached = new HashSet<string>();
        var open = new Stack<string>([name]);
        while (open.TryPop(out var next))
        {
            if (!reached.Add(next)) continue;
            foreach (var reference in Projects[next].References) open.Push(reference);
        }

        return reached;
    }

    /// <summary>The line without a trailing comment and without string contents: what the compiler acts on.</summary>
    public static string Code(string line)
    {
        var comment = line.IndexOf("//", StringComparison.Ordinal);
        return comment >= 0 ? line[..comment] : line;
    }

    private static Project Load(string path)
    {
        var xml = XDocument.Load(path);
        string[] Values(string element) =>
            [.. xml.Descendants(element).Select(item => item.Attribute("Include")?.Value ?? "").Where(value => value != "")];
        return new Project(
            System.IO.Path.GetFileNameWithoutExtension(path),
            path,
            [.. Values("ProjectReference").Select(System.IO.Path.GetFileNameWithoutExtension).OfType<string>().Order()],
            [.. Values("PackageReference").Order()],
            [.. Values("FrameworkReference").Order()],
            xml.Descendants("AllowUnsafeBlocks").Any(item => item.Value == "true"));
    }

    private static bool Under(string path, string folder) =>
        path.StartsWith(System.IO.Path.Combine(Repository.Root, folder) + "/", StringComparison.Ordinal);

    private static bool IsOutput(string path) =>
        System.IO.Path.GetRelativePath(Repository.Root, path).Split('/').Any(part => part is "out" or "obj" or "bin" or "node_modules");
}
