using Hull.Core;
using Hull.Linux.Cgroups;

namespace Hull.Linux.Tests.Cgroups;

public sealed class LimitConversionTests
{
    [Theory]
    [InlineData(0, 1)]
    [InlineData(2, 1)]
    [InlineData(1024, 100)]
    [InlineData(262144, 10000)]
    public void SharesBecomeWeight(ulong shares, ulong weight) => Assert.Equal(weight, V2Limits.CpuWeight(shares));

    [Fact]
    public void MoreSharesNeverWeighLess()
    {
        var last = 0UL;
        for (var shares = 2UL; shares <= 262144; shares += 97)
        {
            var weight = V2Limits.CpuWeight(shares);
            Assert.InRange(weight, last, 10000UL);
            last = weight;
        }
    }

    [Theory]
    [InlineData(10, 1)]
    [InlineData(500, 4950)]
    [InlineData(1000, 10000)]
    public void BlockWeightBecomesIoWeight(ushort weight, ulong expected) => Assert.Equal(expected, V2Limits.IoWeight(weight));

    [Theory]
    [InlineData(100L, 100L, 0L)]
    [InlineData(100L, 300L, 200L)]
    [InlineData(100L, -1L, -1L)]
    [InlineData(-1L, null, -1L)]
    [InlineData(100L, null, null)]
    public void SwapIsCountedAlone(long limit, long? swap, long? expected) =>
        Assert.Equal(expected, V2Limits.SwapLimit(new MemoryLimits { Limit = limit, Swap = swap }));

    [Fact]
    public void SwapBelowMemoryIsRefused()
    {
        Assert.Throws<HullException>(() => V2Limits.SwapLimit(new MemoryLimits { Limit = 100, Swap = 50 }));
        Assert.Throws<HullException>(() => V2Limits.SwapLimit(new MemoryLimits { Swap = 50 }));
    }

    [Theory]
    [InlineData("/a/../../b", "b")]
    [InlineData("a//./b/", "a/b")]
    [InlineData("../../x", "x")]
    [InlineData("/", "")]
    public void PathsStayBelowTheirBase(string path, string clean) => Assert.Equal(clean, CgroupTree.Clean(path));

    [Fact]
    public void ListsAreExpanded() => Assert.Equal<ushort>([0, 1, 2, 7], Number.ParseList("0-2,7\n"));

    [Fact]
    public void FindsAHierarchyThatIsBoundIntoAContainer()
    {
        var mounts = new CgroupMounts(
            "30 23 0:26 / /sys/fs/cgroup rw - tmpfs tmpfs rw\n"
            + "33 30 0:29 /docker/abc /mnt/my\\040cg rw,nosuid shared:9 - cgroup cgroup rw,cpu,cpuacct\n");
        var hierarchy = mounts.Find(["cpu", "cpuacct"], "/docker/abc/inner");
        Assert.Equal(("/mnt/my cg", "/inner"), (hierarchy!.Mount, hierarchy.OwnPath));
        Assert.Null(mounts.Find(["memory"], "/"));
    }
}
