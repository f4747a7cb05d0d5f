using Hull.Core;
using Hull.Linux.Resctrl;
using Hull.Testing;

namespace Hull.Linux.Tests.Resctrl;

public sealed class ResctrlGroupTests
{
    [Fact]
    public void BandwidthLinesOfTheCacheSchemaDoNotCount() => Assert.Equal(
        "L3:0=f\nL3CODE:0=3\nMB:0=20", ResctrlGroup.Schemata(new ResctrlLimits("MB:0=70\nL3:0=f\n L3CODE:0=3", "MB:0=20\n")));

    [Fact]
    public void WithoutTheFileSystemItIsUnsupported()
    {
        using var directory = new TemporaryDirectory();
        var error = Assert.Throws<HullException>(() => new ResctrlGroup("c1", directory.Path).Prepare(new ResctrlLimits("L3:0=f", null), false));
        Assert.Equal(ErrorKind.Unsupported, error.Kind);
        Assert.Empty(Directory.GetDirectories(directory.Path));
    }

    [Fact]
    public void AGroupOfAnotherSchemaIsNotTaken()
    {
        using var directory = new TemporaryDirectory();
        File.WriteAllText(directory["schemata"], "L3:0=ff\n");
        Directory.CreateDirectory(directory["shared"]);
        File.WriteAllText(directory["shared/schemata"], "    L3:0=f0\n");
        var group = new ResctrlGroup("shared", directory.Path);
        Assert.False(group.Prepare(new ResctrlLimits("L3:0=f0", null), mustExistEqual: true));
        Assert.Throws<HullException>(() => group.Prepare(new ResctrlLimits("L3:0=0f", null), mustExistEqual: true));
    }

    [Fact]
    public void ANameThatLeadsElsewhereIsRefused() =>
        Assert.Throws<HullException>(() => new ResctrlGroup("../x").Prepare(new ResctrlLimits(null, null), false));
}
