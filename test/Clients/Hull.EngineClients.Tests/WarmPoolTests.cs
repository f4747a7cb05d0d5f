using System.Text.Json.Nodes;
using Hull.Testing;

namespace Hull.EngineClients.Tests;

/// <summary>Virtual machines of the warm pool and of an image's template on a network, which they are given when they are somebody's.</summary>
public sealed class WarmPoolTests : IDisposable
{
    private readonly TemporaryDirectory _directory = new("warm");
    private readonly string _cgroupParent = "/hull-warm-" + Environment.ProcessId;
    private readonly Daemon _daemon;

    public WarmPoolTests()
    {
        Require.Root();
        Require.Program("qemu-system-x86_64");
        GuestKernel.Provide(_directory["data"]);
        _daemon = new Daemon(_directory["s"], Repository.Executable("hulld"), "-H", "unix://" + _directory["s"], "--data-root", _directory["data"],
            "--exec-root", _directory["run"], "--cgroup-parent", _cgroupParent, "--vm-warm-pool=2");
        Busybox.Import(arguments => Docker(arguments), _directory.Path);
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void AMachineThatWasReadyHasAddressesNamesAndPortsOfItsOwn(bool ofImage)
    {
        Machine("--rm", "--network", "none", "busybox", "true");
        Assert.SkipUnless(Fact("accelerator") == "tcg", "only twins are kept ready");
        Assert.True(_daemon.Until(() => Fact("live-templates") == "1"), _daemon.Log);
        Docker("network", "create", "--subnet", "10.79.0.0/24", "warm").Ok();
        Docker("run", "-d", "--name", "neighbour", "--network", "warm", "busybox", "sh", "-c", Serving("neighbour")).Ok();
        // The first begins the pool, and is not of it.
        Machine("--rm", "--network", "none", "busybox", "true");
        if (ofImage)
        {
            for (var round = 0; round < 2; round++) Machine("--rm", "--network", "warm", "busybox", "true");
            Assert.True(_daemon.Until(() => Fact("image-templates") == "1"), Fact("image-templates"));
        }

        string[] names = ["one", "two"];
        Assert.True(_daemon.Until(() => Fact("warm-machines").StartsWith("2 ready", StringComparison.Ordinal)), Fact("warm-machines"));
        var before = Taken();
        for (var index = 0; index < names.Length; index++)
            Machine("-d", "--name", names[index], "--network", "warm", "-p", $"808{index}:80", "busybox", "sh", "-c", Serving(names[index]));
        if (!ofImage) Assert.Equal(before + names.Length, Taken());
        var seen = new HashSet<string>();
        for (var index = 0; index < names.Length; index++)
        {
            var name = names[index];
            var endpoint = JsonNode.Parse(Docker("inspect", name).Ok().Output)![0]!["NetworkSettings"]!["Networks"]!["warm"]!;
            var (address, mac) = ((string)endpoint["IPAddress"]!, (string)endpoint["MacAddress"]!);
            Assert.True(seen.Add(address) && seen.Add(mac));
            Assert.Equal(ofImage, BundleOf(name).Contains("\"container\":\"image\"", StringComparison.Ordinal));
            Assert.Equal(Docker("exec", name, "busybox", "hostname").Ok().Trimmed, Docker("exec", name, "cat", "/etc/hostname").Ok().Trimmed);
            Assert.Contains(address, Docker("exec", name, "cat", "/etc/hosts").Ok().Output, StringComparison.Ordinal);
            Assert.Equal(mac, Docker("exec", name, "cat", "/sys/class/net/eth0/address").Ok().Trimmed);
            Assert.Contains($"inet {address}/24 ", Docker("exec", name, "busybox", "ip", "addr", "show", "eth0").Ok().Output, StringComparison.Ordinal);
            Assert.Equal(name, Fetch("neighbour", name));
            Assert.Equal("neighbour", Fetch(name, "neighbour"));
            Assert.Equal(names[1 - index], Fetch(name, names[1 - index]));
            var published = _daemon.Retry(() => _daemon.Run("busybox", ["wget", "-qO-", $"http://127.0.0.1:808{index}/page"]));
            Assert.Equal(name, published.Trimmed);
        }
    }

    public void Dispose()
    {
        var all = Docker("ps", "-aq").Output.Split('\n', StringSplitOptions.RemoveEmptyEntries);
        if (all.Length > 0) Docker(["rm", "-f", "-v", .. all]);
        _daemon.Dispose();
        Daemon.Unmount(_directory.Path);
        foreach (var hierarchy in Directory.EnumerateDirectories("/sys/fs/cgroup").Append("/sys/fs/cgroup"))
            if (Directory.Exists(hierarchy + _cgroupParent)) Command.Run("rmdir", hierarchy + _cgroupParent);
        _directory.Dispose();
    }

    private string BundleOf(string name) =>
        File.ReadAllText(Path.Combine(_directory["run"], "i", Docker("inspect", "-f", "{{.Id}}", name).Ok().Trimmed[..32], "vm.json"));

    private static string Serving(string name) => $"echo {name} > /tmp/page; exec busybox httpd -f -p 80 -h /tmp";

    private CommandResult Docker(params string[] arguments) => _daemon.Run(Engine.Client, arguments);

    private void Machine(params string[] arguments) => Docker(["run", "--isolation", "vm", .. arguments]).Ok();

    private string Fetch(string from, string name) =>
        _daemon.Retry(() => Docker("exec", from, "busybox", "wget", "-qO-", $"http://{name}/page")).Ok().Trimmed;

    private string Fact(string name) =>
        (string?)JsonNode.Parse(_daemon.Run(Repository.Executable("hull"), ["info", "-f", "{{json .Isolations.vm.Facts}}"]).Ok().Output)![name] ?? "";

    private int Taken() => int.Parse(Fact("warm-machines").Split(' ')[2], System.Globalization.CultureInfo.InvariantCulture);
}
