using System.Text;
using System.Text.Json;
using Hull.Core;
using Hull.Linux.Abi;
using Hull.Oci.Runtime;
using Hull.Runtime.Specs;

namespace Hull.Runtime.Tests.Specs;

public sealed class SpecTests
{
    [Fact]
    public void The_parser_by_hand_and_the_serializer_read_the_same()
    {
        var text = JsonSerializer.Serialize(DefaultSpec.Create(), RuntimeJson.Default.Spec);
        var parsed = RuntimeDocuments.ParseSpec(Encoding.UTF8.GetBytes(text), "config.json");
        Assert.Equal(text, JsonSerializer.Serialize(parsed, RuntimeJson.Default.Spec));
        SpecValidator.Validate(parsed);
    }

    [Theory]
    [InlineData("""{"ociVersion":1}""", "ociVersion is not a string")]
    [InlineData("""{"process":{"args":"sh"}}""", "process.args is not an array")]
    [InlineData("""{"process":{"args":["sh",1]}}""", "process.args is not a string")]
    [InlineData("""{"process":{"user":{"uid":-1}}}""", "process.user.uid is not an integer that is not negative")]
    [InlineData("""{"process":{"user":{"uid":4294967296}}}""", "process.user.uid is not an integer of 32 bits")]
    [InlineData("""{"linux":[]}""", "linux is not an object")]
    [InlineData("""{"mounts":[null]}""", "mounts is not an array of objects")]
    [InlineData("[]", "the document is not a JSON object")]
    [InlineData("null", "the document is not a JSON object")]
    [InlineData("", "is not valid JSON")]
    [InlineData("{", "is not valid JSON")]
    [InlineData("{} {}", "is not valid JSON")]
    [InlineData("""{"hostname":"\ud800"}""", "is not valid JSON")]
    public void What_is_wrong_is_said_with_the_member(string text, string expected)
    {
        var error = Assert.Throws<HullException>(() => RuntimeDocuments.ParseSpec(Encoding.UTF8.GetBytes(text), "config.json"));
        Assert.Equal(ErrorKind.InvalidArgument, error.Kind);
        Assert.Contains(expected, error.Message);
        Assert.DoesNotContain('\n', error.Message);
    }

    [Fact]
    public void Any_mutation_is_read_or_refused()
    {
        var random = new Random(7);
        var seed = JsonSerializer.SerializeToUtf8Bytes(DefaultSpec.Create(), RuntimeJson.Default.Spec);
        for (var i = 0; i < 3000; i++)
        {
            var copy = seed.ToArray();
            for (var k = 0; k < 3; k++) copy[random.Next(copy.Length)] = (byte)random.Next(256);
            try
            {
                SpecValidator.Validate(RuntimeDocuments.ParseSpec(copy, "config.json"));
            }
            catch (HullException)
            {
                // Refused with a message is one of the two right answers.
            }
        }
    }

    public static TheoryData<string, Func<Spec, Spec>> Wrong => new()
    {
        { "ociVersion", spec => spec with { OciVersion = "1" } },
        { "only versions 1.x", spec => spec with { OciVersion = "2.0.0" } },
        { "root.path", spec => spec with { Root = null } },
        { "unknown namespace 'net'", spec => spec with { Linux = spec.Linux! with { Namespaces = [new NamespaceSpec { Type = "net" }] } } },
        { "given twice", spec => spec with { Linux = spec.Linux! with { Namespaces = [.. spec.Linux.Namespaces!, new NamespaceSpec { Type = "pid" }] } } },
        { "not absolute", spec => spec with { Linux = spec.Linux! with { Namespaces = [new NamespaceSpec { Type = "uts", Path = "ns" }] } } },
        { "uts namespace", spec => spec with { Linux = spec.Linux! with { Namespaces = [] } } },
        { "needs linux.uidMappings", spec => spec with { Linux = spec.Linux! with { Namespaces = [.. spec.Linux.Namespaces!, new NamespaceSpec { Type = "user" }] } } },
        { "process.cwd", spec => spec with { Process = spec.Process! with { Cwd = "home" } } },
        { "process.args", spec => spec with { Process = spec.Process! with { Args = [] } } },
        { "unknown limit", spec => spec with { Process = spec.Process! with { Rlimits = [new RlimitSpec { Type = "RLIMIT_X" }] } } },
        { "would change the host", spec => spec with { Linux = spec.Linux! with { Sysctl = new Dictionary<string, string> { ["kernel.panic"] = "1" } } } },
        { "no name of a kernel parameter", spec => spec with { Linux = spec.Linux! with { Sysctl = new Dictionary<string, string> { ["net/../kernel/panic"] = "1" } } } },
        { "unknown type", spec => spec with { Linux = spec.Linux! with { Devices = [new DeviceSpec { Path = "/dev/x", Type = "z" }] } } },
        { "rootfsPropagation", spec => spec with { Linux = spec.Linux! with { RootfsPropagation = "none" } } },
    };

    [Theory]
    [MemberData(nameof(Wrong), DisableDiscoveryEnumeration = true)]
    public void A_spec_that_contradicts_itself_is_refused(string expected, Func<Spec, Spec> change) =>
        Assert.Contains(expected, Assert.Throws<HullException>(() => SpecValidator.Validate(change(DefaultSpec.Create()))).Message);

    [Fact]
    public void Mount_options_are_sorted_by_who_understands_them()
    {
        var options = MountOptions.Parse(["rbind", "ro", "nosuid", "suid", "rro", "rslave", "mode=755", "sync", "noatime"]);
        Assert.Equal(MountApi.MOUNT_ATTR_RDONLY | MountApi.MOUNT_ATTR_NOATIME, options.Set);
        Assert.Equal(MountApi.MOUNT_ATTR_NOSUID | MountApi.MOUNT_ATTR__ATIME, options.Clear);
        Assert.Equal(MountApi.MOUNT_ATTR_RDONLY, options.RecursiveSet);
        Assert.True(options is { Bind: true, Recursive: true, Propagation: MountFlags.MS_SLAVE, PropagationRecursive: true });
        Assert.Equal(["mode=755"], options.Data);
        Assert.Equal(["sync"], options.SuperFlags);
    }

    [Fact]
    public void Sysctl_names_turn_into_paths_as_sysctl_does()
    {
        Assert.Equal("net/ipv4/ip_forward", SysctlName.ToPath("net.ipv4.ip_forward"));
        Assert.Equal("net/ipv4/conf/eth0.100/forwarding", SysctlName.ToPath("net.ipv4.conf.eth0/100.forwarding"));
        Assert.Equal("net/ipv4/conf/eth0.100/forwarding", SysctlName.ToPath("net/ipv4/conf/eth0.100/forwarding"));
        Assert.Equal("ipc", SysctlName.NamespaceOf("kernel/shmmax"));
        Assert.Null(SysctlName.NamespaceOf("kernel/core_pattern"));
    }

    [Fact]
    public void Cpu_lists_turn_into_masks()
    {
        Assert.Equal([0b1000_1111, 0, 0, 0, 0, 0, 0, 0], SchedulingTable.ToCpuMask("0-3,7"));
        Assert.Null(SchedulingTable.ToCpuMask(""));
        Assert.Throws<HullException>(() => SchedulingTable.ToCpuMask("3-1"));
        Assert.Throws<HullException>(() => SchedulingTable.ToCpuMask("0,99999"));
    }
}
