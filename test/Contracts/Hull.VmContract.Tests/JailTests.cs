using System.Text.Json;
using Hull.Hypervisor.Monitor;
using Hull.Hypervisor.Qemu;
using Hull.Testing;

namespace Hull.VmContract.Tests;

/// <summary>A monitor that was taken over, played by a hostile program in QEMU's place.</summary>
public sealed class JailTests(VmFixture vm) : IDisposable
{
    private readonly TemporaryDirectory _directory = new("vm-jail");
    private readonly string _id = "hull-vm-jail-" + Guid.NewGuid().ToString("N")[..8];

    [Fact]
    public void A_hostile_monitor_finds_nothing()
    {
        File.WriteAllText(_directory["secret"], "secret");
        File.SetUnixFileMode(_directory["secret"], (UnixFileMode)0x1A4);
        var said = Run($"""
            #!/bin/sh
            echo uid=$(id -u) gid=$(id -g) groups=$(id -G)
            echo other=$(cat {_directory["secret"]} 2>/dev/null)
            echo shadow=$(cat /etc/shadow /etc/passwd 2>/dev/null)
            echo home=$(ls /root /home /var /run 2>/dev/null)
            echo network=$(tail -n +3 /proc/net/dev | cut -d: -f1 | tr -d ' ')
            echo routes=$(tail -n +2 /proc/net/route)
            grep -E '^(CapEff|CapPrm|CapBnd|NoNewPrivs):' /proc/self/status
            echo written=$( (echo x > /usr/x; echo x > /x; echo x > $0; echo x > /tmp/x) 2>/dev/null; ls /usr/x /x /tmp/x 2>/dev/null)
            echo device=$(mknod /tmp/sda b 8 0 2>/dev/null && echo made)
            echo mounted=$(mount -t tmpfs none /tmp 2>/dev/null && echo done)
            echo processes=$(ls -d /proc/[0-9]* | wc -l)
            """);
        var user = QemuJail.UserFor(_id);
        string[] expected =
        [
            $"uid={user} gid={user} groups={user}", "other=", "shadow=", "home=", "network=lo", "routes=",
            "CapPrm:\t0000000000000000", "CapEff:\t0000000000000000", "CapBnd:\t0000000000000000", "NoNewPrivs:\t1",
            "written=", "device=", "mounted=",
        ];
        Assert.Equal(expected, said[..^1]);
        // The shell and what it runs: nobody else's process is in sight.
        Assert.InRange(int.Parse(said[^1]["processes=".Length..]), 1, 5);
    }

    [Fact]
    public void Two_machines_have_two_users() => Assert.NotEqual(QemuJail.UserFor("a"), QemuJail.UserFor("b"));

    public void Dispose()
    {
        Command.Run(Repository.Executable("hull-vm"), "--root", _directory["root"], "delete", "--force", _id);
        _directory.Dispose();
    }

    private string[] Run(string script)
    {
        var program = _directory["monitor"];
        File.WriteAllText(program, script);
        File.SetUnixFileMode(program, (UnixFileMode)0x1ED);
        Directory.CreateDirectory(_directory["bundle"]);
        var bundle = new VmBundle
        {
            HostName = "hostile", MachineId = new string('0', 32), MemoryBytes = 128 << 20,
            Guest = new GuestSource(program, "", "tcg", "", vm.Guest.Digest, vm.Guest.Kernel, vm.Guest.Initrd, vm.Guest.Release),
        };
        File.WriteAllText(_directory["bundle/vm.json"], JsonSerializer.Serialize(bundle, VmBundleJson.Default.VmBundle));
        File.WriteAllText(_directory["bundle/config.json"],
            """{"ociVersion":"1.2.0","process":{"args":["/bin/true"],"cwd":"/","user":{"uid":0,"gid":0}},"root":{"path":"rootfs"},"linux":{"cgroupsPath":"/ID"}}""".Replace("ID", _id));
        var created = Command.Run(Repository.Executable("hull-vm"), "--root", _directory["root"], "create", "--bundle", _directory["bundle"], _id);
        Assert.Contains("qemu ended before its monitor answered", created.Error);
        return File.ReadAllLines(_directory["bundle/qemu.log"]);
    }
}
