using System.Text.Json;
using Hull.Cli.Containers;
using Hull.Cli.Verbs;
using Hull.Core;
using Hull.Core.CommandLine;
using Hull.Protocol.Machines;

namespace Hull.Cli.Vm;

/// <summary><c>hull vm disk</c>.</summary>
internal static class DiskVerbs
{
    public static VerbEntry[] All() =>
    [
        new("add", "Add a disk, also while it runs", () => new AddVerb()),
        new("rm", "Take a disk away; while it runs, one that was added then", () => new RemoveVerb("disk"), "remove"),
        new("export", "Write a disk as it is now as an image file", () => new ExportVerb()),
    ];

    private sealed class AddVerb : Verb
    {
        private long? size;
        private string? image;

        public override string Usage => "vm disk add [options] MACHINE";

        public override void Define(FlagSet flags) => flags
            .Value("size", null, "size", "an empty disk of this size, such as 10g, or the size an image grows to", v => size = ByteSize.Parse(v))
            .Value("image", null, "file", "a copy of this disk image (qcow2, raw, vmdk, vdi, vhdx)", v => image = v);

        public override int Run(Invocation call)
        {
            call.Expect(1, 1);
            var request = new MachineDiskRequest(image is null ? null : VmVerbs.EnginePath(image), size);
            var machine = MachineClient.Send(call, "POST", MachineClient.Path(call.Arguments[0], "/disks"), request,
                MachineProtocolJson.Default.MachineDiskRequest, MachineProtocolJson.Default.MachineResource);
            call.Output.WriteLine(machine.Disks[^1].Id);
            return 0;
        }
    }

    private sealed class ExportVerb : Verb
    {
        private string? format;

        public override string Usage => "vm disk export [options] MACHINE DISK FILE";

        public override void Define(FlagSet flags) => flags
            .Value("format", null, "format", "qcow2, raw, vmdk, vdi, vhdx or vpc; without it, as the file's name ends", v => format = v);

        public override int Run(Invocation call)
        {
            call.Expect(3, 3);
            var file = VmVerbs.EnginePath(call.Arguments[2]);
            var request = new MachineDiskExportRequest(file, format ?? FormatOf(file));
            var body = JsonSerializer.SerializeToUtf8Bytes(request, MachineProtocolJson.Default.MachineDiskExportRequest);
            var path = MachineClient.Path(call.Arguments[0], $"/disks/{Uri.EscapeDataString(call.Arguments[1])}/export");
            using var answer = call.Engine.Send("POST", path, body, raw: true);
            call.Output.WriteLine(call.Arguments[2]);
            return 0;
        }

        private static string FormatOf(string file) => Path.GetExtension(file) switch
        {
            ".img" => "raw",
            ".vhd" => "vpc",
            { Length: > 1 } extension => extension[1..],
            _ => throw HullException.Invalid($"which format '{file}' is to have cannot be told from its name: give --format"),
        };
    }
}

/// <summary><c>hull vm nic</c>.</summary>
internal static class NicVerbs
{
    public static VerbEntry[] All() =>
    [
        new("add", "Put a NIC on a network, also while it runs", () => new AddVerb()),
        new("rm", "Take a NIC away; while it runs, one that was added then", () => new RemoveVerb("nic"), "remove"),
    ];

    /// <summary>Parses <c>NETWORK[,ip=ADDRESS]</c>.</summary>
    public static MachineNicRequest Parse(string text)
    {
        var parts = text.Split(',');
        string? address = null;
        foreach (var part in parts.Skip(1))
        {
            if (!part.StartsWith("ip=", StringComparison.Ordinal)) throw HullException.Invalid($"invalid network '{text}': expected NAME or NAME,ip=ADDRESS");
            address = part[3..];
        }

        return new MachineNicRequest(parts[0] is "none" or "" ? null : parts[0], address);
    }

    private sealed class AddVerb : Verb
    {
        private MachineNicRequest? request;

        public override string Usage => "vm nic add --network NAME MACHINE";

        public override void Define(FlagSet flags) => flags.Value("network", null, "name[,ip=address]", "the network", v => request = Parse(v));

        public override int Run(Invocation call)
        {
            call.Expect(1, 1);
            var machine = MachineClient.Send(call, "POST", MachineClient.Path(call.Arguments[0], "/nics"),
                request ?? throw HullException.Invalid("which network the NIC is on is missing: give --network"),
                MachineProtocolJson.Default.MachineNicRequest, MachineProtocolJson.Default.MachineResource);
            var nic = machine.Nics[^1];
            call.Output.WriteLine(string.Join('\t', [nic.Id, nic.MacAddress, .. nic.Addresses]));
            return 0;
        }
    }
}

/// <summary>Takes a device away.</summary>
internal sealed class RemoveVerb(string kind) : Verb
{
    public override string Usage => $"vm {kind} rm MACHINE {kind.ToUpperInvariant()}";

    public override int Run(Invocation call)
    {
        call.Expect(2, 2);
        MachineClient.Call(call, "DELETE", MachineClient.Path(call.Arguments[0], $"/{kind}s/{Uri.EscapeDataString(call.Arguments[1])}"));
        call.Output.WriteLine(call.Arguments[1]);
        return 0;
    }
}
