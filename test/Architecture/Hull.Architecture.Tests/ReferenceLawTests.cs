using Hull.Testing;

namespace Hull.Architecture.Tests;

/// <summary>Who may refer to whom. docs/ARCHITECTURE.md explains the layers.</summary>
public sealed class ReferenceLawTests
{
    /// <summary>From the bottom up: a project refers only to projects that stand before it.</summary>
    private static readonly string[] Layers =
    [
        "Hull.Core", "Hull.Protocol", "Hull.Linux", "Hull.Oci", "Hull.Runtime", "Hull.Shim", "Hull.Agent", "Hull.Images", "Hull.Network",
        "Hull.Hypervisor", "Hull.Engine", "Hull.Registry", "Hull.Api", "Hull.Client",
        "hull-runtime", "hull-shim", "hull-init", "hull-agent", "hull-vm", "hull-registry", "hulld", "hull",
    ];

    [Fact]
    public void ReferencesGoDownOnly()
    {
        foreach (var project in SourceTree.Product)
        {
            var height = Array.IndexOf(Layers, project.Name);
            Assert.True(height >= 0, $"{project.Name} has no place in the layers");
            foreach (var reference in project.References)
            {
                Assert.True(Array.IndexOf(Layers, reference) < height, $"{project.Name} refers up to {reference}");
            }
        }
    }

    [Fact]
    public void TheClientProgramDoesNotContainTheEngine()
    {
        var reached = SourceTree.Closure("hull");
        Assert.DoesNotContain("Hull.Engine", reached);
        Assert.DoesNotContain("Hull.Api", reached);
        Assert.DoesNotContain("Hull.Registry", reached);
    }

    [Theory]
    [InlineData("hull")]
    [InlineData("hull-runtime")]
    [InlineData("hull-shim")]
    [InlineData("hull-agent")]
    [InlineData("hull-vm")]
    public void SmallProgramsHaveNoWebServer(string program)
    {
        foreach (var name in SourceTree.Closure(program))
        {
            Assert.DoesNotContain("Microsoft.AspNetCore.App", SourceTree.Projects[name].Frameworks);
        }
    }

    [Fact]
    public void EveryReferenceAndPackageIsOnTheList()
    {
        var expected = File.ReadAllLines(Path.Combine(Repository.Root, "test/Architecture/dependencies.txt"));
        var actual = SourceTree.Product.OrderBy(project => project.Name, StringComparer.Ordinal).SelectMany(project =>
            project.References.Concat(project.Packages).Concat(project.Frameworks)
                .Select(dependency => $"{project.Name} -> {dependency}"));
        Assert.Equal(expected, actual);
    }
}
