using Hull.Core;
using Hull.Hypervisor.Bootstrap;

namespace Hull.Hypervisor.Tests;

public sealed class MachineRecipeTests
{
    [Fact]
    public void ReadsReleaseAndPackages()
    {
        var recipe = MachineRecipe.Parse("debian:bookworm", 1, ["nginx-light"]);
        Assert.Equal(("debian", "bookworm"), (recipe.Distribution, recipe.Suite));
    }

    [Theory]
    [InlineData("debian")]
    [InlineData("debian:")]
    [InlineData("windows:11")]
    [InlineData("debian:book worm")]
    [InlineData("debian:--help")]
    public void RefusesOtherSystems(string name) => Assert.Contains(name,
        Assert.Throws<HullException>(() => MachineRecipe.Parse(name, 1, [])).Message, StringComparison.Ordinal);

    [Fact]
    public void RefusesPackageNamesThatAreOptions() =>
        Assert.Throws<HullException>(() => MachineRecipe.Parse("debian:bookworm", 1, ["--simulate,x"]));
}
