using System.Text;
using System.Text.Json.Nodes;
using Hull.Core;
using Hull.Linux.Cgroups;
using Hull.Oci.Runtime;
using Hull.Runtime.Resources;

namespace Hull.Runtime.Tests.Resources;

public sealed class ResourceTests
{
    [Fact]
    public void ANewContainerHasItsRulesThenTheDefaults()
    {
        var limits = ResourceTranslation.ForCreate(new ResourcesSpec
        {
            Devices = [new DeviceCgroupSpec { Allow = false, Access = "rwm" }, new DeviceCgroupSpec { Allow = true, Type = "c", Major = 10, Minor = -1, Access = "r" }],
        });
        Assert.Equal(new DeviceRule(false, DeviceKind.All, null, null, DeviceAccess.All), limits.Devices![0]);
        Assert.Equal(new DeviceRule(true, DeviceKind.Character, 10, null, DeviceAccess.Read), limits.Devices[1]);
        Assert.Contains(new DeviceRule(true, DeviceKind.Character, 1, 3, DeviceAccess.All), limits.Devices);
        Assert.Null(ResourceTranslation.ForUpdate(new ResourcesSpec()).Devices);
    }

    [Fact]
    public void ZeroIsNotSet()
    {
        var limits = ResourceTranslation.ForCreate(new ResourcesSpec
        {
            Memory = new MemorySpec { Limit = 0, Swap = 0 }, Cpu = new CpuSpec { Shares = 0, Quota = 0, Cpus = "" }, Pids = new PidsSpec { Limit = 0 },
        });
        Assert.Null(limits.Memory);
        Assert.Null(limits.Cpu);
        Assert.Null(limits.Pids);
    }

    [Theory]
    [InlineData("64m", 67108864)]
    [InlineData("64MB", 67108864)]
    [InlineData("1GiB", 1073741824)]
    [InlineData("1.5k", 1536)]
    [InlineData("4096", 4096)]
    [InlineData("-1", -1)]
    public void SizesHaveUnits(string text, long bytes) =>
        Assert.Equal(bytes, ResourceArguments.From(new Dictionary<string, string> { ["memory"] = text }).Memory!.Limit);

    [Theory]
    [InlineData("memory", "many")]
    [InlineData("memory", "5x")]
    [InlineData("cpu-quota", "1.5")]
    [InlineData("cpu-share", "-3")]
    [InlineData("blkio-weight", "70000")]
    public void BadValuesNameTheirOption(string option, string text)
    {
        var error = Assert.Throws<HullException>(() => ResourceArguments.From(new Dictionary<string, string> { [option] = text }));
        Assert.Contains(option, error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void BadResourcesAreRefused()
    {
        Assert.Throws<HullException>(() => ResourceArguments.Parse("{"u8));
        Assert.Throws<HullException>(() => ResourceTranslation.ForUpdate(new ResourcesSpec { Memory = new MemorySpec { Limit = -7 } }));
        Assert.Throws<HullException>(() => ResourceTranslation.ForUpdate(new ResourcesSpec { HugepageLimits = [new HugePageLimitSpec { PageSize = "../x" }] }));
        Assert.Throws<HullException>(() => ResourceTranslation.ForCreate(new ResourcesSpec { Devices = [new DeviceCgroupSpec { Type = "z" }] }));
    }

    [Fact]
    public void EventsHaveTheShapeOfRunc()
    {
        var stats = new CgroupStats
        {
            Cpu = new CpuStats { Total = 5, PerCpu = [2, 3] },
            Memory = new MemoryStats { Memory = new MemoryUse(10, 20, 30, 1), Cache = 4, Detail = new Dictionary<string, ulong> { ["rss"] = 6 } },
            Pids = new PidsStats(2, 0),
            BlockIo = new BlockIoStats { ServiceBytes = [new BlockIoEntry(8, 0, "Read", 512)] },
        };
        var line = Encoding.UTF8.GetString(EventJson.Stats("c1", stats).Span);
        Assert.EndsWith("}\n", line, StringComparison.Ordinal);
        var data = JsonNode.Parse(line)!["data"]!;
        Assert.Equal(5, (int)data["cpu"]!["usage"]!["total"]!);
        Assert.Equal(3, (int)data["cpu"]!["usage"]!["percpu"]![1]!);
        Assert.Equal(30, (int)data["memory"]!["usage"]!["limit"]!);
        Assert.Equal(6, (int)data["memory"]!["raw"]!["rss"]!);
        Assert.Null(data["pids"]!["limit"]);
        Assert.Equal("Read", (string?)data["blkio"]!["ioServiceBytesRecursive"]![0]!["op"]);
        Assert.Equal("{\"type\":\"oom\",\"id\":\"c1\"}\n", Encoding.UTF8.GetString(EventJson.OutOfMemory("c1").Span));
    }

    [Fact]
    public void SeccompWithoutAListenerCannotNotify()
    {
        var spec = new SeccompSpec { DefaultAction = "SCMP_ACT_ALLOW", Syscalls = [new SyscallSpec { Names = ["mkdir"], Action = "SCMP_ACT_NOTIFY" }] };
        Assert.Throws<HullException>(() => SeccompTranslation.ToPolicy(spec));
        Assert.Single(SeccompTranslation.ToPolicy(spec with { ListenerPath = "/x" }).Rules);
        Assert.Throws<HullException>(() => SeccompTranslation.ToPolicy(spec with { DefaultAction = "SCMP_ACT_MAYBE", ListenerPath = "/x" }));
    }

    [Fact]
    public void ProcessesArePrintedAsJson()
    {
        Assert.Equal("[]", ProcessListing.Json([]));
        Assert.Equal("[1,22]", ProcessListing.Json([1, 22]));
        Assert.Contains(Environment.ProcessId.ToString(), ProcessListing.Table([Environment.ProcessId], []), StringComparison.Ordinal);
    }
}
