using System.Text.Json;
using Hull.InstanceContract.Tests;
using Hull.Testing;

namespace Hull.MachineContract.Tests;

/// <summary>
/// The verbs of <c>hull vm</c> through a running engine, over one Debian from its first boot to its removal. It is one test
/// because a boot takes most of a minute in emulation: each step goes on from where the last one left the guest.
/// </summary>
public sealed class MachineCommandTests : IDisposable
{
    private const string Serve = "mkdir -p /www; echo hello-from-{0} > /www/index.html; ";
    private readonly TemporaryDirectory _directory = new("hv");
    private EngineDaemon? _engine;

    private EngineDaemon Daemon => _engine!;

    public void Dispose()
    {
        foreach (var machine in _engine is null ? [] : Try("ls", "-q").Output.Split('\n', StringSplitOptions.RemoveEmptyEntries)) Try("rm", "-f", machine);
        _engine?.Dispose();
        _directory.Dispose();
    }

    [Fact]
    public async Task EveryVerbDoesWhatItSays()
    {
        Require.Root();
        Require.Program("qemu-system-x86_64");
        var disk = await DebianDisk.PathAsync();
        File.WriteAllText(_directory["daemon.json"], "{}");
        _engine = new EngineDaemon(["--config-file", _directory["daemon.json"]]);
        BusyboxRoot.Make(_directory["root"]);
        Daemon.Import(_directory["root"]);
        Hull("network", "create", "web");
        Hull("network", "create", "second");
        Hull("run", "-d", "--name", "c1", "--network", "web", "busybox", "sh", "-c", string.Format(null, Serve, "c1") + "exec httpd -f -p 80 -h /www");
        File.WriteAllText(_directory["user-data"], SerialShell.UserData);
        Vm("create", "box", "--disk", disk, "--memory", "512m", "--max-memory", "1g", "--max-cpus", "2", "--cloud-init", _directory["user-data"], "--network", "web", "-p", "80", "--start");

        using (var shell = new SerialShell(ConsoleSocket("box")))
        {
            await shell.WaitForAsync("HULL-READY-box", seconds: 600);
            await ReachesAndIsReachedAsync(shell);
            await DevicesComeAndGoAsync(shell);
            await shell.RunAsync("echo precious > /root/data; sync");
        }

        SnapshotAndBackUp();
        using (var shell = new SerialShell(ConsoleSocket("box")))
            Assert.Equal("lost", await shell.RunAsync("echo lost > /root/data; sync; cat /root/data"));
        var increment = Vm("backup", "-i", "box", _directory["backups"]).Split('\t')[0];
        await RestoredWithItsDevicesAsync();
        MemoryIsTakenByPriority();
        Stopped();
        ImagesComeAndGo(increment);
        Removed();
    }

    private async Task ReachesAndIsReachedAsync(SerialShell shell)
    {
        Assert.Equal("hello-from-c1", await shell.RunAsync("python3 -c \"import urllib.request as u; print(u.urlopen('http://c1/').read().decode().strip())\""));
        await shell.RunAsync(string.Format(null, Serve, "box") + "cd /www; systemd-run -q --unit www --working-directory /www python3 -m http.server 80; "
            + "for i in 1 2 3 4 5 6 7 8 9; do python3 -c \"import socket; socket.create_connection(('127.0.0.1', 80))\" 2> /dev/null && break; sleep 1; done");
        Assert.Equal("hello-from-box", Hull("exec", "c1", "wget", "-qO-", "http://box/"));
        var port = Inspect("box").GetProperty("ports")[0].GetString()!.Split("->")[0];
        Assert.Equal("hello-from-box", Daemon.InNetwork("curl", "-s", $"http://{port}/").Ok().Trimmed);
    }

    private async Task DevicesComeAndGoAsync(SerialShell shell)
    {
        Assert.Equal("disk1", Vm("disk", "add", "--size", "64m", "box"));
        Assert.Equal("nic1", Vm("nic", "add", "--network", "second", "box").Split('\t')[0]);
        Vm("edit", "--cpus", "2", "--memory", "640m", "box");
        Assert.Equal("131072", await shell.RunAsync("for i in 1 2 3 4 5 6 7 8 9; do [ -e /dev/disk/by-id/virtio-disk1 ] && break; sleep 1; done; blockdev --getsz /dev/disk/by-id/virtio-disk1"));
        Assert.Equal("2 3 5", await shell.RunAsync("for i in 1 2 3 4 5 6 7 8 9; do [ $(nproc) = 2 ] && [ $(ls /sys/class/net | wc -l) = 3 ] && [ $(cat /sys/devices/system/memory/memory*/state | grep -c online) = 5 ] && break; sleep 1; done; "
            + "echo $(nproc) $(ls /sys/class/net | wc -l) $(cat /sys/devices/system/memory/memory*/state | grep -c online)"));
        Assert.Contains("stop it first", Try("nic", "rm", "box", "nic0").Error, StringComparison.Ordinal);
        Vm("screenshot", "-o", _directory["screen.png"], "box");
        Assert.Equal([0x89, 0x50, 0x4E, 0x47], File.ReadAllBytes(_directory["screen.png"])[..4]);
        Assert.Contains("box", Hull("top"), StringComparison.Ordinal);
        Vm("pause", "box");
        Assert.Equal("paused", Inspect("box").GetProperty("status").GetString());
        Vm("resume", "box");
    }

    private void SnapshotAndBackUp()
    {
        Vm("snapshot", "create", "box", "disks");
        Vm("snapshot", "create", "--memory", "--description", "before the damage", "box", "good");
        Assert.Equal("exists", Try("snapshot", "create", "box", "good").Error.Contains("already", StringComparison.Ordinal) ? "exists" : "");
        Assert.Contains("good *   disks    yes", Vm("snapshot", "ls", "box"), StringComparison.Ordinal);
        Vm("backup", "box", _directory["backups"]);
    }

    /// <summary>What was plugged in is there again when the memory comes back, and the network with it.</summary>
    private async Task RestoredWithItsDevicesAsync()
    {
        Vm("snapshot", "restore", "box", "good");
        using (var shell = new SerialShell(ConsoleSocket("box")))
            Assert.Equal("precious 2 131072", await shell.RunAsync("echo $(cat /root/data) $(nproc) $(blockdev --getsz /dev/disk/by-id/virtio-disk1)"));
        Assert.Equal("hello-from-box", Hull("exec", "c1", "wget", "-qO-", "http://box/"));
        Vm("nic", "rm", "box", "nic1");
        Vm("rename", "box", "crate");
        Assert.Equal("hello-from-box", Hull("exec", "c1", "wget", "-qO-", "http://crate/"));
        var console = Command.Shell($"(echo echo $((40+2))-on-the-console; sleep 4) | HULL_HOST={Daemon.Address} {Repository.Executable("hull")} vm console crate").Output;
        Assert.Contains("42-on-the-console", console, StringComparison.Ordinal);
    }

    /// <summary>By the balloon, because the container's priority is higher; an engine for which memory is always short does it at once.</summary>
    private void MemoryIsTakenByPriority()
    {
        Vm("edit", "--priority", "10", "crate");
        Restart("""{"resources":{"reclaim":{"short":99,"plenty":100,"period":1}}}""");
        WaitUntil(() => Hull("top").Split('\n').Any(line => line.Contains(" crate ", StringComparison.Ordinal) && line.Contains("priority 10 is below 50", StringComparison.Ordinal)));
        // All of it is given back where memory is not short.
        Restart("""{"resources":{"reclaim":{"short":1,"plenty":1,"stalled":100,"period":1}}}""");
        WaitUntil(() => !Hull("top").Contains("is below", StringComparison.Ordinal));
        Restart("{}");
    }

    private void Restart(string settings)
    {
        Daemon.Stop();
        File.WriteAllText(_directory["daemon.json"], settings);
        Daemon.Start();
    }

    private void WaitUntil(Func<bool> condition)
    {
        for (var end = Environment.TickCount64 + 120_000; !condition(); Thread.Sleep(500))
            if (Environment.TickCount64 > end) Assert.Fail($"waited in vain\n{Hull("top")}\n{string.Join('\n', Daemon.Log.TakeLast(20))}");
    }

    private void Stopped()
    {
        Vm("clone", "crate", "full");
        Vm("clone", "--linked", "crate", "linked");
        Vm("stop", "-t", "120", "crate");
        var stopped = Inspect("crate");
        Assert.Equal(("stopped", "guest-shutdown"), (stopped.GetProperty("status").GetString(), stopped.GetProperty("lastExit").GetString()));
        Assert.Contains("linked clone", Try("snapshot", "rm", "crate", "good").Error, StringComparison.Ordinal);
        Assert.Contains("linked clone", Try("rm", "crate").Error, StringComparison.Ordinal);
        Vm("rm", "linked");
        Vm("snapshot", "rm", "crate", "good");
        Assert.Equal("precious", ReadFromDisk("crate"));
        Assert.Equal("precious", ReadFromDisk("full"));
    }

    private void ImagesComeAndGo(string increment)
    {
        foreach (var format in (string[])["raw", "vmdk", "vdi", "vhdx"])
        {
            var file = _directory["disk." + format];
            Vm("disk", "export", "crate", "disk1", file);
            var made = Vm("disk", "add", "--image", file, "full");
            Assert.Equal(64L << 20, VirtualSize("full", made));
            Vm("disk", "rm", "full", made);
        }

        Vm("export", "crate", _directory["crate.ova"]);
        Vm("import", _directory["crate.ova"], "imported");
        Assert.Equal("precious", ReadFromDisk("imported"));
        Vm("restore-backup", increment, "restored");
        Assert.Equal("lost", ReadFromDisk("restored"));
        using (var file = new FileStream(Path.Combine(increment, "disk0.qcow2"), FileMode.Open, FileAccess.ReadWrite))
        {
            file.Position = file.Length / 2;
            file.Write([0xA5, 0x5A]);
        }

        ThroughARegistry();
        Assert.Contains("checksum differs", Try("restore-backup", increment, "spoilt").Error, StringComparison.Ordinal);
        File.WriteAllText(_directory["text"], "no disk");
        Assert.Contains("no disk image", Try("create", "--disk", _directory["text"], "bad").Error, StringComparison.Ordinal);
        Assert.Contains("no network 'nowhere'", Try("create", "--disk-size", "1m", "--network", "nowhere", "--start", "lost").Error, StringComparison.Ordinal);
    }

    private void ThroughARegistry()
    {
        using var registry = RegistryProcess.Hull(Daemon.NetworkPid);
        var name = registry.Address + "/machines/crate:v1";
        var pushed = Vm("push", "crate", name);
        Assert.StartsWith(name + "@sha256:", pushed, StringComparison.Ordinal);
        Assert.Equal("pulled", Vm("pull", "--network", "web", pushed.Split(name)[1].Insert(0, name.Split(":v1")[0]), "pulled"));
        Assert.Equal("precious", ReadFromDisk("pulled"));
        Assert.Contains("crate:v12", Try("pull", name + "2", "nothing").Error, StringComparison.Ordinal);
    }

    private void Removed()
    {
        Vm("rm", "crate", "full", "imported", "restored", "pulled", "lost");
        Assert.Equal("", Vm("ls", "-q"));
        Assert.Empty(Directory.EnumerateFileSystemEntries(Path.Combine(Daemon.Path, "data", "machines")));
        var networks = JsonDocument.Parse(Hull("network", "inspect", "web")).RootElement[0].GetProperty("Containers");
        Assert.Single(networks.EnumerateObject());
    }

    private string ConsoleSocket(string machine) =>
        Path.Combine(Daemon.Path, "run", "machines", Inspect(machine).GetProperty("id").GetString()![..16], "serial");

    private JsonElement Inspect(string machine) => JsonDocument.Parse(Vm("inspect", machine)).RootElement;

    private string FileOf(string machine, string disk)
    {
        var resource = Inspect(machine);
        var file = resource.GetProperty("disks").EnumerateArray().First(one => one.GetProperty("id").GetString() == disk).GetProperty("file").GetString()!;
        return Path.Combine(Daemon.Path, "data", "machines", resource.GetProperty("id").GetString()!, file);
    }

    private long VirtualSize(string machine, string disk) =>
        JsonDocument.Parse(Command.Run("qemu-img", "info", "--output=json", FileOf(machine, disk)).Ok().Output).RootElement.GetProperty("virtual-size").GetInt64();

    /// <summary>Reads /root/data out of a stopped machine's disk with debugfs(8): no boot, no mount.</summary>
    private string ReadFromDisk(string machine)
    {
        Vm("disk", "export", machine, "disk0", _directory["disk0.img"]);
        var table = JsonDocument.Parse(Command.Run("sfdisk", "--json", _directory["disk0.img"]).Ok().Output).RootElement.GetProperty("partitiontable");
        var root = table.GetProperty("partitions")[2].GetProperty("start").GetInt64() * 512;
        var text = Command.Run("debugfs", "-R", "cat /root/data", $"{_directory["disk0.img"]}?offset={root}").Ok().Trimmed;
        File.Delete(_directory["disk0.img"]);
        return text;
    }

    private string Hull(params string[] arguments) => Run(arguments).Ok().Trimmed;

    private string Vm(params string[] arguments) => Run(["vm", .. arguments]).Ok().Trimmed;

    private CommandResult Try(params string[] arguments) => Run(["vm", .. arguments]);

    private CommandResult Run(string[] arguments) => Command.Run(Repository.Executable("hull"), arguments, null, TimeSpan.FromMinutes(5),
        new Dictionary<string, string?> { ["HULL_HOST"] = Daemon.Address, ["HULL_CONFIG"] = _directory["config"] });
}
