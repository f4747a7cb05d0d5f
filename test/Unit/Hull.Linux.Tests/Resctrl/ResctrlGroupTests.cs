using Hull.Core;
using Hull.Linux.Resctrl;
using Hull.Testing;

namespace Hull.Linux.Tests.Resctrl;

/// <summary>Groups in a directory that stands in for resctrl: what the kernel makes in it is there already.</summary>
public sealed class ResctrlGroupTests : IDisposable
{
    private static readonly ResctrlLimits s_none = new(null, null);
    private readonly TemporaryDirectory _root = new();

    public ResctrlGroupTests()
    {
        Write("schemata", "    L3:0=fffff;1=fffff\n    MB:0=100;1=100\n");
        Write("tasks", "");
        Write("info/L3/cbm_mask", "fffff\n");
        Write("info/L3/min_cbm_bits", "2\n");
        Write("info/L3/num_closids", "16\n");
        Write("info/MB/num_closids", "8\n");
        Write("info/MB/bandwidth_gran", "10\n");
        Write("info/MB/min_bandwidth", "10\n");
        Write("info/MB/delay_linear", "1\n");
        Write("info/L3_MON/mon_features", "llc_occupancy\nmbm_total_bytes\n");
        Write("shared/schemata", "    L3:0=000f0;1=fffff\n    MB:0= 20;1=100\n");
        Write("shared/tasks", "");
    }

    [Fact]
    public void BandwidthLinesOfTheCacheSchemaDoNotCount() => Assert.Equal(
        "L3:0=f\nL3CODE:0=3\nMB:0=20", ResctrlSchemata.Combine(new ResctrlLimits("MB:0=70\nL3:0=f\n L3CODE:0=3", "MB:0=20\n")));

    [Theory]
    [InlineData("L3:0=f0", null)]
    [InlineData("L3:1=fffff;0=f0", "MB:0=20")]
    [InlineData(null, "MB:1=100")]
    public void AClassThatIsAsTheLimitsSayIsJoined(string? cache, string? bandwidth)
    {
        var group = ResctrlGroup.Name(_root.Path, "c1", "shared", isMonitored: false);
        group.Prepare(new ResctrlLimits(cache, bandwidth), mustExist: false, []);
        group.Add(42);
        Assert.Equal("42", Read("shared/tasks"));
        Assert.False(group.Record.IsOwn);
        group.Remove();
        Assert.True(Directory.Exists(_root["shared"]));
    }

    [Theory]
    [InlineData("L3:0=0f", null)]
    [InlineData("L3:0=f0;2=1", null)]
    [InlineData("L3:0=f0", "MB:0=30")]
    [InlineData("L2:0=f0", null)]
    [InlineData("L3:0=zz", null)]
    public void AClassOfAnotherSchemaIsNotTaken(string? cache, string? bandwidth)
    {
        var group = ResctrlGroup.Name(_root.Path, "c1", "shared", isMonitored: false);
        Assert.Equal(ErrorKind.Conflict, Assert.Throws<HullException>(() => group.Prepare(new ResctrlLimits(cache, bandwidth), false, [])).Kind);
        Assert.True(Directory.Exists(_root["shared"]));
    }

    [Fact]
    public void AClassNamedWithoutLimitsMustBeThere()
    {
        ResctrlGroup.Name(_root.Path, "c1", "shared", false).Prepare(s_none, mustExist: true, []);
        var error = Assert.Throws<HullException>(() => ResctrlGroup.Name(_root.Path, "c1", "nowhere", false).Prepare(s_none, mustExist: true, []));
        Assert.Equal(ErrorKind.NotFound, error.Kind);
        Assert.False(Directory.Exists(_root["nowhere"]));
    }

    [Fact]
    public void AGroupOfItsOwnGoesWithIt()
    {
        var group = ResctrlGroup.Name(_root.Path, "c1", null, isMonitored: true);
        group.Prepare(s_none, mustExist: false, ["llc_occupancy"]);
        Assert.True(Directory.Exists(_root["c1"]));
        Assert.True(group.Record.IsOwn);
        Assert.Null(group.Record.MonitorPath);
        ResctrlGroup.Load(group.Record).Remove();
        Assert.False(Directory.Exists(_root["c1"]));
    }

    [Fact]
    public void AClassThatWasMadeStaysWhileOthersAreInIt()
    {
        var record = new ResctrlRecord(_root["shared"], IsOwn: true, null);
        Write("shared/tasks", "1234\n");
        ResctrlGroup.Load(record).Remove();
        Assert.True(Directory.Exists(_root["shared"]));
    }

    [Fact]
    public void WhatFailsLeavesNoGroup()
    {
        // Nothing makes a file of schemata here, so writing them fails.
        var group = ResctrlGroup.Name(_root.Path, "c1", null, false);
        Assert.Throws<HullException>(() => group.Prepare(new ResctrlLimits("L3:0=f", null), false, []));
        Assert.False(Directory.Exists(_root["c1"]));
    }

    [Fact]
    public void LimitsAreChangedInPlace()
    {
        ResctrlGroup.Load(new ResctrlRecord(_root["shared"], false, null)).Apply(new ResctrlLimits("L3:0=3", "MB:0=50"));
        Assert.StartsWith("L3:0=3\nMB:0=50\n", Read("shared/schemata"));
    }

    [Fact]
    public void ASharedClassIsMonitoredByAGroupOfTheContainer()
    {
        Write("shared/mon_groups/c1/tasks", "");
        Write("shared/mon_groups/c1/mon_data/mon_L3_00/llc_occupancy", "4096\n");
        Write("shared/mon_groups/c1/mon_data/mon_L3_00/mbm_total_bytes", "123\n");
        Write("shared/mon_groups/c1/mon_data/mon_L3_01/llc_occupancy", "8192\n");
        Write("shared/mon_groups/c1/mon_data/mon_L3_01/mbm_total_bytes", "Unavailable\n");
        var group = ResctrlGroup.Name(_root.Path, "c1", "shared", isMonitored: true);
        group.Prepare(s_none, mustExist: true, ["llc_occupancy", "mbm_total_bytes"]);
        group.Add(7);
        Assert.Equal("7", Read("shared/mon_groups/c1/tasks"));
        Assert.Equal("7", Read("shared/tasks"));

        var stats = group.ReadStats();
        Assert.Equal(new CacheAllocation("fffff", 2, 16), stats.Cache);
        Assert.Equal(new BandwidthAllocation(10, 1, 10, 8), stats.Bandwidth);
        Assert.Equal("L3:0=fffff;1=fffff", stats.RootCacheSchema);
        Assert.Equal("L3:0=000f0;1=fffff", stats.CacheSchema);
        Assert.Equal("MB:0= 20;1=100", stats.BandwidthSchema);
        Assert.Equal([new ResctrlCounters(4096, 123, null), new ResctrlCounters(8192, null, null)], stats.Domains);
    }

    [Fact]
    public void MonitoringTheProcessorDoesNotHaveIsUnsupported()
    {
        var group = ResctrlGroup.Name(_root.Path, "c1", null, isMonitored: true);
        var error = Assert.Throws<HullException>(() => group.Prepare(s_none, false, ["mbm_local_bytes"]));
        Assert.Equal(ErrorKind.Unsupported, error.Kind);
        Assert.Contains("mbm_local_bytes", error.Message);
        Assert.False(Directory.Exists(_root["c1"]));
    }

    [Theory]
    [InlineData("../x")]
    [InlineData("..")]
    [InlineData("info")]
    [InlineData("mon_groups")]
    public void ANameThatLeadsElsewhereIsRefused(string name) =>
        Assert.Equal(ErrorKind.InvalidArgument, Assert.Throws<HullException>(() => ResctrlGroup.Name(_root.Path, "c1", name, false)).Kind);

    [Fact]
    public void WithoutTheFileSystemItIsUnsupported()
    {
        if (File.ReadLines("/proc/self/mountinfo").Any(line => line.Contains(" - resctrl "))) Assert.Skip("this machine has resctrl");
        var error = Assert.Throws<HullException>(ResctrlGroup.FindMount);
        Assert.Equal(ErrorKind.Unsupported, error.Kind);
        Assert.Contains("mount -t resctrl", error.Message);
    }

    public void Dispose() => _root.Dispose();

    private string Read(string path) => File.ReadAllText(_root[path]);

    private void Write(string path, string content)
    {
        Directory.CreateDirectory(Path.GetDirectoryName(_root[path])!);
        File.WriteAllText(_root[path], content);
    }
}
