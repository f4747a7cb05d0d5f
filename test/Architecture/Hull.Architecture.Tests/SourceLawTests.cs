using System.Text.RegularExpressions;
using Hull.Testing;

namespace Hull.Architecture.Tests;

/// <summary>What source text may contain, and where.</summary>
public sealed partial class SourceLawTests
{
    [Fact]
    public void OnlyHullLinuxIsUnsafe()
    {
        Assert.Equal(["Hull.Linux"], SourceTree.Product.Where(project => project.AllowsUnsafe).Select(project => project.Name));
        var elsewhere = SourceTree.ProductFiles
            .Where(file => !file.Path.StartsWith("src/Hull.Linux/", StringComparison.Ordinal))
            .Where(file => file.Lines.Any(line => NativeCode().IsMatch(SourceTree.Code(line))))
            .Select(file => file.Path);
        Assert.Empty(elsewhere);
    }

    [Fact]
    public void EveryUnsafeBlockSaysWhyItIsSafe()
    {
        var silent = new List<string>();
        foreach (var (path, lines) in SourceTree.Files("src/Hull.Linux"))
        {
            for (var i = 0; i < lines.Length; i++)
            {
                if (!UnsafeBlock().IsMatch(SourceTree.Code(lines[i]))) continue;
                var nearby = lines[Math.Max(0, i - 5)..Math.Min(lines.Length, i + 3)];
                if (!nearby.Any(line => line.Contains("// SAFETY:", StringComparison.Ordinal))) silent.Add($"{path}:{i + 1}");
            }
        }

        Assert.Empty(silent);
    }

    [Fact]
    public void OnlyTheDaemonNamesConcreteDrivers()
    {
        var named = SourceTree.ProductFiles
            .Where(file => !file.Path.StartsWith("app/hulld/", StringComparison.Ordinal) &&
                           !file.Path.StartsWith("src/Hull.Engine/Drivers/", StringComparison.Ordinal))
            .Where(file => file.Lines.Any(line => ConcreteDriver().IsMatch(SourceTree.Code(line))))
            .Select(file => file.Path);
        Assert.Empty(named);
    }

    [Fact]
    public void WireWordsStayOutOfTheEngine()
    {
        var leaks = SourceTree.Files("src/Hull.Engine")
            .SelectMany(file => file.Lines.Select((line, index) => (file.Path, Line: index + 1, Text: SourceTree.Code(line))))
            .Where(line => WireWord().IsMatch(line.Text))
            .Select(line => $"{line.Path}:{line.Line}: {line.Text.Trim()}");
        Assert.Empty(leaks);
    }

    [Fact]
    public void NoFileOutgrowsTheHardLimit()
    {
        var large = SourceTree.ProductFiles.Where(file => file.Lines.Length > 800).Select(file => $"{file.Path}: {file.Lines.Length} lines");
        Assert.Empty(large);
    }

    [Fact]
    public void NothingIsLeftForLater()
    {
        var unfinished = SourceTree.ProductFiles
            .SelectMany(file => file.Lines.Select((line, index) => (file.Path, Line: index + 1, Text: line)))
            .Where(line => Unfinished().IsMatch(line.Text))
            .Select(line => $"{line.Path}:{line.Line}: {line.Text.Trim()}");
        Assert.Empty(unfinished);
    }

    [Fact]
    public void DocumentsLinkToFilesThatExist()
    {
        var documents = Directory.EnumerateFiles(Repository.Root, "*.md")
            .Concat(Directory.EnumerateFiles(Path.Combine(Repository.Root, "docs"), "*.md"));
        var broken = from document in documents
                     from Match link in Link().Matches(File.ReadAllText(document))
                     let target = Path.Combine(Path.GetDirectoryName(document)!, link.Groups[1].Value)
                     where !File.Exists(target) && !Directory.Exists(target)
                     select $"{Path.GetFileName(document)} -> {link.Groups[1].Value}";
        Assert.Empty(broken);
    }

    [GeneratedRegex(@"(?<![-\w])unsafe(?![-\w])|\b(Library|Dll)Import\b")]
    private static partial Regex NativeCode();

    [GeneratedRegex(@"^\s*unsafe\s*(\{|$)")]
    private static partial Regex UnsafeBlock();

    [GeneratedRegex(@"\b(ContainerDriver|VmDriver)\b")]
    private static partial Regex ConcreteDriver();

    [GeneratedRegex(@"\b(HostConfig|NetworkSettings|PortBindings|BindOptions|X-Registry-Auth|RunPodSandbox)\b")]
    private static partial Regex WireWord();

    [GeneratedRegex(@"\b(TODO|FIXME|XXX|NotImplementedException)\b|simplified (for now|version)", RegexOptions.IgnoreCase)]
    private static partial Regex Unfinished();

    [GeneratedRegex(@"\]\((?!https?:|#|mailto:)([^)#\s]+)")]
    private static partial Regex Link();
}
