using Hull.Core;
using Hull.Hypervisor.Qemu;

namespace Hull.Hypervisor.Tests.Qemu;

public class QemuCommandLineTests
{
    private static readonly VirtualMachineConfig Sandbox = new()
    {
        Id = "a1",
        MemoryBytes = 256 << 20,
        Memory = new FileMemory("/proc/self/fd/5", Shared: false),
        Boot = new KernelBoot("/k/vmlinux", "/k/initrd", "quiet a,b"),
        Serial = new FileChannel("/run/a,b.log"),
        Channels = [new ChannelConfig("ctl", "hull.ctl", new DescriptorChannel(7))],
        Disks = [new DiskConfig("layers", new PlaceholderDisk(1L << 40, ReadOnly: true), Serial: "layers")],
        Nics = [new NicConfig("eth0", "02:00:00:00:00:01", new TapNic(9))],
        HotplugSlots = 1,
        Incoming = true,
    };

    [Fact]
    public void A_sandbox_machine_has_only_what_it_needs()
    {
        string[] expected =
        [
            "-name", "hull-a1,debug-threads=on", "-nodefaults", "-no-user-config", "-no-reboot", "-display", "none", "-S",
            "-sandbox", "on,obsolete=deny,elevateprivileges=deny,spawn=deny,resourcecontrol=deny",
            "-machine", "type=q35,vmport=off,smbus=off,sata=off,usb=off,i8042=off,hpet=off,memory-backend=ram",
            "-accel", "tcg,tb-size=64", "-cpu", "max", "-smp", "cpus=1,maxcpus=1", "-m", "size=262144k",
            "-object", """{"qom-type":"memory-backend-file","id":"ram","size":268435456,"mem-path":"/proc/self/fd/5","share":false}""",
            "-kernel", "/k/vmlinux", "-initrd", "/k/initrd", "-append", "quiet a,b",
            "-chardev", "socket,id=qmp,fd=6", "-mon", "chardev=qmp,mode=control",
            "-chardev", "file,id=serial0,append=on,path=/run/a,,b.log", "-serial", "chardev:serial0",
            "-device", """{"driver":"virtio-serial-pci","id":"channels","max_ports":2}""",
            "-chardev", "socket,id=ctl,fd=7",
            "-device", """{"driver":"virtserialport","bus":"channels.0","id":"port-ctl","chardev":"ctl","name":"hull.ctl"}""",
            "-device", """{"driver":"virtio-rng-pci","id":"rng0"}""",
            "-device", """{"driver":"virtio-balloon-pci","id":"balloon0","free-page-reporting":true,"deflate-on-oom":true}""",
            "-blockdev", """{"driver":"null-co","node-name":"disk-layers","size":1099511627776,"read-zeroes":true,"read-only":true}""",
            "-device", """{"driver":"virtio-blk-pci","id":"layers","drive":"disk-layers","num-queues":1,"serial":"layers"}""",
            "-netdev", "type=tap,id=net-eth0,fd=9,vhost=off",
            "-device", """{"driver":"virtio-net-pci","id":"eth0","netdev":"net-eth0","mac":"02:00:00:00:00:01","romfile":""}""",
            "-device", """{"driver":"pcie-root-port","id":"slot0","chassis":1,"slot":1}""",
            "-incoming", "defer",
        ];
        Assert.Equal(expected, QemuCommandLine.Build(Sandbox, "tcg", new DescriptorChannel(6)));
    }

    [Fact]
    public void Firmware_machines_keep_their_controllers()
    {
        var machine = Sandbox with
        {
            Boot = new FirmwareBoot("/fw/code.fd", "/vm/vars.fd"),
            Disks = [new DiskConfig("root", new ImageDisk("/vm/root.qcow2", "qcow2", ReadOnly: false), BootIndex: 0)],
            Memory = new AnonymousMemory(),
            Incoming = false,
        };
        var line = QemuCommandLine.Build(machine, "kvm", new SocketChannel("/run/q"));
        Assert.Contains("type=q35,vmport=off", line);
        Assert.Contains("kvm", line);
        Assert.Contains("if=pflash,format=raw,readonly=on,file=/fw/code.fd", line);
        Assert.Contains("socket,id=qmp,server=on,wait=off,path=/run/q", line);
        Assert.Contains("""{"driver":"qcow2","node-name":"disk-root","read-only":false,"discard":"unmap","file":{"driver":"file","filename":"/vm/root.qcow2","locking":"auto"}}""", line);
        Assert.Contains("""{"driver":"virtio-blk-pci","id":"root","drive":"disk-root","num-queues":1,"bootindex":0}""", line);
        Assert.DoesNotContain("-incoming", line);
        Assert.DoesNotContain("-no-reboot", line);
    }

    [Fact]
    public void What_an_image_stands_on_is_what_the_caller_says()
    {
        var top = new ImageDisk("/dev/fdset/5", "qcow2", ReadOnly: false) { Backing = new ImageDisk("/dev/fdset/6", "qcow2", ReadOnly: false) { IsWhole = true } };
        Assert.Equal("""
            {"driver":"qcow2","node-name":"n","read-only":false,"discard":"unmap","file":{"driver":"file","filename":"/dev/fdset/5","locking":"auto"},
            "backing":{"driver":"qcow2","read-only":true,"discard":"ignore","file":{"driver":"file","filename":"/dev/fdset/6","locking":"off"},"backing":null}}
            """.ReplaceLineEndings(""), QemuDevices.BlockNode("n", top).ToJson());
        Assert.EndsWith("\"locking\":\"off\"}}", QemuDevices.BlockNode("n", new ImageDisk("/x", "raw", ReadOnly: true) { IsWhole = true }).ToJson(), StringComparison.Ordinal);
    }

    [Fact]
    public void A_control_socket_is_a_second_monitor()
    {
        var line = QemuCommandLine.Build(Sandbox, "tcg", new DescriptorChannel(6), "/run/control");
        Assert.Contains("socket,id=control,server=on,wait=off,path=/run/control", line);
        Assert.Contains("chardev=control,mode=control", line);
    }

    [Fact]
    public void Unknown_architectures_are_unsupported() =>
        Assert.Equal(ErrorKind.Unsupported, Assert.Throws<HullException>(() => QemuCommandLine.ProgramFor("s390x")).Kind);
}
