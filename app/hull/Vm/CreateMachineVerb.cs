using System.Text.Json;
using Hull.Cli.Containers;
using Hull.Cli.Verbs;
using Hull.Core;
using Hull.Core.CommandLine;
using Hull.Protocol;
using Hull.Protocol.Machines;

namespace Hull.Cli.Vm;

/// <summary><c>hull vm create</c>.</summary>
internal sealed class CreateMachineVerb : Verb
{
    private readonly List<MachineDiskRequest> disks = [];
    private readonly List<MachineNicRequest> nics = [];
    private readonly Dictionary<string, List<PortBinding>?> ports = [];
    private readonly Dictionary<string, string> labels = [];
    private string? firmware;
    private string? architecture;
    private string? userData;
    private string? networkConfig;
    private string? group;
    private long? processors;
    private long? maximumProcessors;
    private long? memory;
    private long? maximumMemory;
    private long? diskSize;
    private bool tpm;
    private bool autoStart;
    private readonly ResourceSettings limits = new();
    private bool start;

    public override string Usage => "vm create [options] NAME";

    public override void Define(FlagSet flags) => ResourceFlags.Machine(flags, limits)
        .Value("disk", null, "file", "a copy of this disk image (qcow2, raw, vmdk, vdi, vhdx)", v => disks.Add(new MachineDiskRequest(VmVerbs.EnginePath(v), null)))
        .Value("disk-size", null, "size", "grow the first disk to this size, or make an empty one", v => diskSize = ByteSize.Parse(v))
        .Value("iso", null, "file", "a CD-ROM image, booted from first", v => disks.Insert(0, new MachineDiskRequest(VmVerbs.EnginePath(v), null, Medium: true)))
        .Number("cpus", null, "processors", v => processors = v)
        .Number("max-cpus", null, "processors that can be plugged in while it runs", v => maximumProcessors = v)
        .Value("memory", 'm', "size", "memory, such as 2g", v => memory = ByteSize.Parse(v))
        .Value("max-memory", null, "size", "memory that can be plugged in while it runs", v => maximumMemory = ByteSize.Parse(v))
        .Value("firmware", null, "name", "bios or uefi", v => firmware = v)
        .Value("arch", null, "name", "amd64 or arm64", v => architecture = v)
        .Switch("tpm", null, "an emulated TPM 2.0", v => tpm = v)
        .Value("network", null, "name[,ip=address]", "a NIC on this network; none for a NIC without a cable", v => nics.Add(NicVerbs.Parse(v)))
        .Value("publish", 'p', "[[address:]port:]port[/protocol]", "make a port reachable through the host", v => PortOption.Add(ports, [], v))
        .Value("cloud-init", null, "file", "user data for cloud-init", v => userData = Read(v))
        .Value("cloud-init-network", null, "file", "network configuration for cloud-init", v => networkConfig = Read(v))
        .Value("label", 'l', "key=value", "a label", v => labels[v.Split('=')[0]] = v.Contains('=', StringComparison.Ordinal) ? v[(v.IndexOf('=', StringComparison.Ordinal) + 1)..] : "")
        .Value("group", null, "name", "the group whose allowance it shares", v => group = v)
        .Switch("autostart", null, "kept running: started with the engine when it ran before, and again when its monitor fails", v => autoStart = v)
        .Switch("start", null, "start it at once", v => start = v);

    public override int Run(Invocation call)
    {
        call.Expect(1, 1);
        if (diskSize is { } size)
        {
            var first = disks.FindIndex(disk => !disk.Medium);
            if (first < 0) disks.Add(new MachineDiskRequest(null, size));
            else disks[first] = disks[first] with { Bytes = size };
        }

        if (disks.Count == 0) throw HullException.Invalid("a machine needs a disk: give --disk, --iso or --disk-size, or make one with hull vm bootstrap");
        var machine = MachineClient.Create(call, new MachineCreateRequest
        {
            Name = call.Arguments[0], Architecture = architecture, Firmware = firmware,
            Processors = (int?)processors, MaximumProcessors = (int?)maximumProcessors, MemoryBytes = memory, MaximumMemoryBytes = maximumMemory,
            Tpm = tpm, AutoStart = autoStart, Group = group, Resources = limits, Disks = disks, Nics = nics, Ports = ports, UserData = userData, NetworkConfig = networkConfig, Labels = labels,
        });
        if (start) MachineClient.Call(call, "POST", MachineClient.Path(machine.Id, "/start"));
        call.Output.WriteLine(machine.Name);
        return 0;
    }

    private static string Read(string path) => File.Exists(path) ? File.ReadAllText(path) : throw HullException.NotFound($"no file '{path}'");
}

/// <summary><c>hull vm edit</c>.</summary>
internal sealed class EditVerb : Verb
{
    private readonly ResourceSettings limits = new();
    private MachineEditRequest edit = new();

    public override string Usage => "vm edit [options] MACHINE";

    public override void Define(FlagSet flags) => ResourceFlags.Machine(flags, limits)
        .Number("cpus", null, "processors; more of them also while it runs, up to its maximum", v => edit = edit with { Processors = (int)v })
        .Number("max-cpus", null, "processors that can be plugged in while it runs", v => edit = edit with { MaximumProcessors = (int)v })
        .Value("memory", 'm', "size", "memory; also while it runs, up to its maximum", v => edit = edit with { MemoryBytes = ByteSize.Parse(v) })
        .Value("max-memory", null, "size", "memory that can be plugged in while it runs", v => edit = edit with { MaximumMemoryBytes = ByteSize.Parse(v) })
        .Value("group", null, "name", "the group whose allowance it shares, empty for none; it must not run", v => edit = edit with { Group = v })
        .Switch("autostart", null, "kept running", v => edit = edit with { AutoStart = v })
        .Value("publish", 'p', "[[address:]port:]port[/protocol]", "publish exactly these ports from the next start on", v => PortOption.Add((edit = edit with { Ports = edit.Ports ?? [] }).Ports!, [], v));

    public override int Run(Invocation call)
    {
        call.Expect(1, 1);
        Apply(call, call.Arguments[0], edit with { Resources = limits });
        call.Output.WriteLine(call.Arguments[0]);
        return 0;
    }

    public static void Apply(Invocation call, string machine, MachineEditRequest edit) =>
        MachineClient.Send(call, "PUT", MachineClient.Path(machine), edit, MachineProtocolJson.Default.MachineEditRequest, MachineProtocolJson.Default.MachineResource);
}

/// <summary><c>hull vm bootstrap</c>.</summary>
internal sealed class BootstrapVerb : Verb
{
    private readonly List<string> packages = [];
    private string? file;
    private long size = 4L << 30;

    public override string Usage => "vm bootstrap [options] SYSTEM";

    public override void Define(FlagSet flags) => flags
        .Value("output", 'o', "file", "the disk to write (SYSTEM.qcow2)", v => file = v)
        .Value("size", null, "size", "size of the disk (4g)", v => size = ByteSize.Parse(v))
        .Value("package", null, "name", "a package more", v => packages.Add(v));

    public override int Run(Invocation call)
    {
        call.Expect(1, 1);
        var path = VmVerbs.EnginePath(file ?? call.Arguments[0].Replace(':', '-') + ".qcow2");
        var body = JsonSerializer.SerializeToUtf8Bytes(new MachineBootstrapRequest(call.Arguments[0], path, size, packages), MachineProtocolJson.Default.MachineBootstrapRequest);
        using var answer = call.Engine.Send("POST", "/hull/v1/machine-disks", body, raw: true);
        using var reader = new StreamReader(answer.Content);
        while (reader.ReadLine() is { } line)
        {
            var progress = JsonSerializer.Deserialize(line, MachineProtocolJson.Default.MachineProgress);
            if (progress?.Error is { } error) throw HullException.Internal(error);
            call.Error.WriteLine(progress?.Step);
            call.Error.Flush();
        }

        call.Output.WriteLine(path);
        return 0;
    }
}
