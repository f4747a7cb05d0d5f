using Hull.Core;
using Hull.Engine.Machines;
using Hull.Hypervisor;
using Hull.Hypervisor.Qemu;
using Hull.Hypervisor.Qmp;
using Hull.Testing;

namespace Hull.MachineContract.Tests;

/// <summary>Monitors of full machines that a guest has taken over: what they reach, and what is believed of what they leave.</summary>
public sealed class MachineJailTests : IAsyncLifetime
{
    private const string Secret = "the secret of another machine";
    private readonly TemporaryDirectory _directory = new("mj");
    private MachineManager? _manager;
    private string? _program;

    private MachineManager Manager => _manager!;

    public async ValueTask InitializeAsync()
    {
        Require.Root();
        Require.Program("qemu-system-x86_64");
        File.WriteAllText(_directory["secret"], Secret.PadRight(1 << 20));
        File.SetUnixFileMode(_directory["secret"], (UnixFileMode)0x1B6 /* 0666 */);
        _manager = await MachineManager.OpenAsync(new MachineManagerOptions(_directory["machines"], _directory["run"], HypervisorAsync) { CgroupParent = "/hull-" + _directory.Path.Split('/')[^1] });
    }

    public async ValueTask DisposeAsync()
    {
        foreach (var machine in _manager?.Machines ?? []) await Manager.RemoveAsync(machine.Record.Id, force: true);
        if (_manager is not null) await _manager.DisposeAsync();
        foreach (var cgroup in Directory.GetDirectories("/sys/fs/cgroup", "hull-" + _directory.Path.Split('/')[^1], new EnumerationOptions { RecurseSubdirectories = true, MaxRecursionDepth = 1 }))
            Directory.Delete(cgroup);
        _directory.Dispose();
    }

    [Fact]
    public async Task A_hostile_monitor_finds_nothing_but_its_own_machine()
    {
        var other = (await Manager.CreateAsync(new MachineConfig { Name = "other", MemoryBytes = 64 << 20 }, [new BlankDisk(1 << 20)])).Record;
        await Manager.StartAsync("other");
        var own = (await Manager.CreateAsync(new MachineConfig { Name = "own" }, [new BlankDisk(1 << 20)])).Record;
        _program = _directory["monitor"];
        File.WriteAllText(_program, $"""
            #!/bin/sh
            echo uid=$(id -u) gid=$(id -g) groups=$(id -G)
            echo disks=$(cat {_directory["machines"]}/*/* 2>/dev/null)$(ls {_directory["machines"]} {_directory["machines"]}/{other.Id} 2>/dev/null)
            echo engine=$(ls {_directory["run"]} | grep -v ^{own.Id[..16]}$)$(ls {_directory["run"]}/{other.Id[..16]} /run /var 2>/dev/null)
            echo shadow=$(cat {_directory["secret"]} /etc/shadow /etc/passwd 2>/dev/null)
            echo network=$(tail -n +3 /proc/net/dev | cut -d: -f1 | tr -d ' ')
            grep -E '^(CapEff|CapPrm|CapBnd|NoNewPrivs):' /proc/self/status
            echo written=$( (echo x > /usr/x; echo x > /x; echo x > $0; echo x > {_directory["run"]}/x) 2>/dev/null; ls /usr/x /x {_directory["run"]}/x 2>/dev/null)
            echo device=$(mknod /dev/sda b 8 0 2>/dev/null && echo made)
            echo others=$(ls -d /proc/[0-9]* | wc -l | grep -vx '[1-5]')
            """);
        File.SetUnixFileMode(_program, (UnixFileMode)0x1ED);
        var error = await Assert.ThrowsAsync<HullException>(() => Manager.StartAsync("own"));
        Assert.Contains("qemu ended before its monitor answered", error.Message, StringComparison.Ordinal);
        var user = QemuJail.UserFor(own.Id);
        Assert.NotEqual(QemuJail.UserFor(other.Id), user);
        Assert.Equal(
        [
            $"uid={user} gid={user} groups={user}", "disks=", "engine=", "shadow=", "network=lo",
            "CapPrm:\t0000000000000000", "CapEff:\t0000000000000000", "CapBnd:\t0000000000000000", "NoNewPrivs:\t1", "written=", "device=", "others=",
        ], File.ReadAllLines(Path.Combine(_directory["machines"], own.Id, "monitor.log")));
        Assert.Equal([other.Id[..16], other.Id[..16] + ".monitor"], Directory.GetFileSystemEntries(_directory["run"]).Select(Path.GetFileName).Order());
    }

    [Fact]
    public async Task A_running_monitor_is_nobody_and_cannot_change_its_sockets()
    {
        var record = (await Manager.CreateAsync(new MachineConfig { Name = "box", MemoryBytes = 64 << 20 }, [new BlankDisk(1 << 20)])).Record;
        var process = (await Manager.StartAsync("box")).Record.Monitor!.ProcessId;
        var status = File.ReadAllLines($"/proc/{process}/status");
        Assert.Contains($"Uid:\t{string.Join('\t', Enumerable.Repeat(QemuJail.UserFor(record.Id), 4))}", status);
        Assert.Contains("CapBnd:\t0000000000000000", status);
        Assert.Contains("Seccomp:\t2", status);
        foreach (var kind in new[] { "mnt", "pid", "net", "ipc", "uts" })
            Assert.NotEqual(new FileInfo("/proc/self/ns/" + kind).LinkTarget, new FileInfo($"/proc/{process}/ns/{kind}").LinkTarget);
        Assert.Contains("/monitor-" + record.Id[..16], File.ReadAllText($"/proc/{process}/cgroup"), StringComparison.Ordinal);
        var pids = Command.Shell($"cd /sys/fs/cgroup; cat pids/$(grep :pids: /proc/{process}/cgroup | cut -d: -f3)/pids.max 2>/dev/null || cat ./$(grep ^0:: /proc/{process}/cgroup | cut -d: -f3)/pids.max");
        Assert.Equal("1024", pids.Ok().Output.Trim());
        var sockets = Path.Combine(_directory["run"], record.Id[..16]);
        Assert.Equal("0 700", Command.Run("stat", "-c", "%u %a", sockets).Ok().Output.Trim());
        Assert.Equal(["control", "serial", "vnc"], Directory.GetFileSystemEntries(sockets).Select(Path.GetFileName).Order());
        await Manager.ScreenshotAsync("box", _directory["screen.png"]);
        Assert.Equal([0x89, (byte)'P', (byte)'N', (byte)'G'], File.ReadAllBytes(_directory["screen.png"])[..4]);
    }

    /// <summary>A name in a disk's header is what a guest in its monitor could write there to have the engine open it as root.</summary>
    [Theory]
    [InlineData("-b {0} -F raw")]
    [InlineData("-b json:{{\"driver\":\"raw\",\"file\":{{\"driver\":\"file\",\"filename\":\"{0}\"}}}} -F raw")]
    public async Task What_a_disk_says_it_stands_on_is_not_opened(string planted)
    {
        var record = (await Manager.CreateAsync(new MachineConfig { Name = "box", MemoryBytes = 64 << 20 }, [new BlankDisk(1 << 20)])).Record;
        var disk = Path.Combine(_directory["machines"], record.Id, "disk0.qcow2");
        var arguments = string.Format(System.Globalization.CultureInfo.InvariantCulture, planted, _directory["secret"]);
        Command.Run("qemu-img", ["rebase", "-u", "-f", "qcow2", .. arguments.Split(' '), disk]).Ok();
        Assert.Contains(Secret, Content(disk), StringComparison.Ordinal);
        await Assert.ThrowsAsync<HullException>(() => Manager.CloneAsync("box", "full", linked: false));
        await Assert.ThrowsAsync<HullException>(() => Manager.ExportDiskAsync("box", "disk0", _directory["exported"], "raw"));
        Assert.False(File.Exists(_directory["exported"]));
        Assert.Equal(["box"], Manager.Machines.Select(machine => machine.Record.Config.Name));
        // The guest itself is given what the engine knows the disk to stand on: nothing.
        await Manager.StartAsync("box");
        await Manager.ExportDiskAsync("box", "disk0", _directory["exported"], "raw");
        Assert.DoesNotContain(Secret, File.ReadAllText(_directory["exported"]), StringComparison.Ordinal);
    }

    [Fact]
    public async Task Snapshots_clones_and_their_removal_follow_what_the_engine_knows()
    {
        await Manager.CreateAsync(new MachineConfig { Name = "box", MemoryBytes = 64 << 20 }, [new BlankDisk(1 << 20)]);
        await Manager.StartAsync("box");
        await Manager.SnapshotAsync("box", "one", memory: true);
        await Manager.SnapshotAsync("box", "two", memory: false);
        await Manager.CloneAsync("box", "linked", linked: true);
        await Manager.AttachDiskAsync("box", new BlankDisk(2 << 20));
        await Manager.BackupAsync("box", _directory["backups"], incremental: false);
        await Manager.BackupAsync("box", _directory["backups"], incremental: true);
        await Manager.StartAsync("linked");
        await Manager.StopAsync("linked", TimeSpan.Zero);
        Assert.Equal(ErrorKind.Conflict, (await Assert.ThrowsAsync<HullException>(() => Manager.RemoveAsync("box", force: true))).Kind);
        await Manager.RemoveAsync("linked", force: false);
        await Manager.RestoreAsync("box", "one");
        Assert.Equal(MachineStatus.Running, Manager.Get("box").Status);
        await Manager.StopAsync("box", TimeSpan.Zero);
        foreach (var snapshot in Manager.Get("box").Record.Snapshots.Reverse()) await Manager.RemoveSnapshotAsync("box", snapshot.Name);
        Assert.Empty(Manager.Get("box").Record.Backings!);
        await Manager.StartAsync("box");
        foreach (var backup in Directory.GetDirectories(_directory["backups"]).Order()) await Manager.RestoreBackupAsync(backup, "r" + Path.GetFileName(backup)[^1]);
    }

    private static string Content(string disk)
    {
        var raw = disk + ".raw";
        Command.Run("qemu-img", "convert", "-f", "qcow2", "-O", "raw", disk, raw).Ok();
        var text = File.ReadAllText(raw);
        File.Delete(raw);
        return text;
    }

    private async Task<IHypervisor> HypervisorAsync(string architecture, CancellationToken cancellation) => _program is null
        ? await QemuHypervisor.DetectAsync(architecture, Path.Combine(Repository.Root, "out", "cache"), cancellation)
        : new QemuHypervisor(new QemuInstallation(_program, architecture, new QmpVersion(7, 2, 0, ""), ""), new AcceleratorChoice("tcg", ""));
}
