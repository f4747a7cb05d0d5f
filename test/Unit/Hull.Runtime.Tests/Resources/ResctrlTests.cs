using System.Text;
using System.Text.Json.Nodes;
using Hull.Core;
using Hull.Linux.Cgroups;
using Hull.Linux.Resctrl;
using Hull.Linux.Syscalls;
using Hull.Oci.Runtime;
using Hull.Runtime.Resources;
using Hull.Runtime.Specs;
using Hull.Testing;

namespace Hull.Runtime.Tests.Resources;

/// <summary>A container, its further processes and its state in a class of service, in a directory that stands in for resctrl.</summary>
public sealed class ResctrlTests : IDisposable
{
    private readonly TemporaryDirectory _directory = new("hull-rdt");
    private readonly string _id = "rdt" + Guid.NewGuid().ToString("N")[..8];

    private ContainerRuntime Runtime => new(new RuntimeOptions { Root = _directory["state"], ResctrlRoot = _directory["resctrl"] });

    [Fact]
    public void TheContainerAndWhatEntersItAreInItsClass()
    {
        Require.Root();
        Write("resctrl/schemata", "L3:0=ff\nMB:0=100\n");
        Write("resctrl/gold/schemata", "    L3:0=0f\n    MB:0= 50\n");
        Write("resctrl/gold/tasks", "");
        Directory.CreateDirectory(_directory["rootfs/bin"]);
        Repository.CopyProgram(Require.Program("busybox"), _directory["rootfs/bin/busybox"]);
        try
        {
            using var init = Runtime.Create(_id, Options(new IntelRdtSpec { ClosId = "gold", L3CacheSchema = "L3:0=f", MemBwSchema = "MB:0=50" }));
            Assert.Equal(init.Pid.ToString(), File.ReadAllText(_directory["resctrl/gold/tasks"]));
            Runtime.Start(_id);

            // A file is not truncated by the second pid, which is as long or longer.
            using var exec = Runtime.Exec(_id, new ProcessSpec { Args = ["/bin/busybox", "true"], Cwd = "/", User = new UserSpec() }, new ExecOptions());
            _ = ProcessCalls.Wait(exec.Pid, 0, out _);
            Assert.StartsWith(exec.Pid.ToString(), File.ReadAllText(_directory["resctrl/gold/tasks"]));

            Runtime.Update(_id, new ResourcesSpec(), new ResctrlLimits("L3:0=3", null));
            Assert.StartsWith("L3:0=3\n", File.ReadAllText(_directory["resctrl/gold/schemata"]));
            Assert.Equal(_directory["resctrl/gold"], Runtime.GetResctrl(_id)!.Record.Path);
        }
        finally
        {
            File.WriteAllText(_directory["resctrl/gold/tasks"], "");
            Runtime.Delete(_id, force: true);
        }

        Assert.True(Directory.Exists(_directory["resctrl/gold"]));
    }

    [Fact]
    public void AClassThatIsNotAsWantedLeavesNothing()
    {
        Require.Root();
        Write("resctrl/gold/schemata", "L3:0=ff\n");
        Directory.CreateDirectory(_directory["rootfs"]);
        var error = Assert.Throws<HullException>(() => Runtime.Create(_id, Options(new IntelRdtSpec { ClosId = "gold", L3CacheSchema = "L3:0=f" })));
        Assert.Equal(ErrorKind.Conflict, error.Kind);
        Assert.Empty(Runtime.List());
        Assert.False(Directory.Exists($"/sys/fs/cgroup/pids/{_id}") || Directory.Exists($"/sys/fs/cgroup/{_id}"));
    }

    [Fact]
    public void EventsHaveRuncsMembers()
    {
        var stats = new ResctrlStats
        {
            Cache = new CacheAllocation("ff", 1, 4), CacheSchema = "L3:0=f", RootCacheSchema = "L3:0=ff", Bandwidth = new BandwidthAllocation(10, 1, 10, 8),
            BandwidthSchema = "MB:0=50", RootBandwidthSchema = "MB:0=100", Domains = [new ResctrlCounters(1, 2, 3)],
        };
        var line = Encoding.UTF8.GetString(EventJson.Stats("c1", new CgroupStats(), stats).Span);
        var written = JsonNode.Parse(line)!["data"]!["intel_rdt"]!.ToJsonString();
        Assert.Equal(
            """{"l3_cache_info":{"cbm_mask":"ff","min_cbm_bits":1,"num_closids":4},"l3_cache_schema_root":"L3:0=ff","l3_cache_schema":"L3:0=f","mem_bw_info":{"bandwidth_gran":10,"delay_linear":1,"min_bandwidth":10,"num_closids":8},"mem_bw_schema_root":"MB:0=100","mem_bw_schema":"MB:0=50","mbm_stats":[{"mbm_total_bytes":2,"mbm_local_bytes":3}],"cmt_stats":[{"llc_occupancy":1}]}""",
            written);
    }

    public void Dispose() => _directory.Dispose();

    private CreateOptions Options(IntelRdtSpec intelRdt)
    {
        var spec = DefaultSpec.Create();
        return new CreateOptions
        {
            Bundle = _directory.Path,
            Spec = spec with
            {
                Process = spec.Process! with { Terminal = false, Args = ["/bin/busybox", "sleep", "100"] },
                Linux = spec.Linux! with { IntelRdt = intelRdt },
            },
        };
    }

    private void Write(string path, string content)
    {
        Directory.CreateDirectory(Path.GetDirectoryName(_directory[path])!);
        File.WriteAllText(_directory[path], content);
    }
}
