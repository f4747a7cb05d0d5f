using System.Text.Json;
using Hull.Cli.Containers;
using Hull.Cli.Verbs;
using Hull.Core;
using Hull.Core.CommandLine;
using Hull.Protocol.Machines;

namespace Hull.Cli.Vm;

/// <summary><c>hull vm</c>: full machines, with operating systems of their own.</summary>
internal static class VmVerbs
{
    public static VerbEntry[] All() =>
    [
        new("create", "Make a machine", () => new CreateMachineVerb()),
        new("ls", "List machines", () => new ListVerb(), "list", "ps"),
        new("inspect", "Show everything about machines", () => new InspectVerb()),
        new("start", "Start machines", () => new EachVerb("start", "POST", "/start")),
        new("stop", "Press the power button, then take the power away", () => new StopVerb()),
        new("reset", "Press the reset button", () => new EachVerb("reset", "POST", "/reset")),
        new("pause", "Stop the clock of machines", () => new EachVerb("pause", "POST", "/pause")),
        new("resume", "Let paused machines go on", () => new EachVerb("resume", "POST", "/resume"), "unpause"),
        new("edit", "Change processors, memory and policies", () => new EditVerb()),
        new("rename", "Give a machine another name", () => new RenameVerb()),
        new("rm", "Remove machines with their disks", () => new RemoveVerb(), "delete"),
        new("console", "Use the serial console", () => new ConsoleVerb()),
        new("screenshot", "Save the screen as PNG", () => new ScreenshotVerb()),
        new("clone", "Make another machine of one", () => new CloneVerb()),
        VerbEntry.ForGroup("disk", "Add, remove and export disks", DiskVerbs.All),
        VerbEntry.ForGroup("nic", "Add and remove network devices", NicVerbs.All),
        VerbEntry.ForGroup("snapshot", "Freeze a machine and go back", SnapshotVerbs.All),
        new("backup", "Copy a machine's disks, the first time whole, then what changed", () => new BackupVerb()),
        new("restore-backup", "Verify a backup and make a machine of it", () => new ImportVerb("restore-backup", "backup", "DIRECTORY")),
        new("export", "Write a stopped machine as an OVA file", () => new ExportVerb()),
        new("import", "Make a machine of an OVA file", () => new ImportVerb("import", "ova", "FILE")),
        new("push", "Send a machine to a registry", () => new PushMachineVerb()),
        new("pull", "Make a machine of one in a registry", () => new PullMachineVerb()),
        new("bootstrap", "Make a bootable disk from a distribution's packages", () => new BootstrapVerb()),
    ];

    /// <summary>A path as the engine needs it; only an engine on this machine sees our files.</summary>
    public static string EnginePath(string path) => Path.GetFullPath(path);

    private sealed class EachVerb(string name, string method, string path) : Verb
    {
        public override string Usage => $"vm {name} MACHINE...";

        public override int Run(Invocation call) => call.ForEach(machine => MachineClient.Call(call, method, MachineClient.Path(machine, path)));
    }

    private sealed class ListVerb : Verb
    {
        private bool quiet;
        private string? format;

        public override string Usage => "vm ls [options]";

        public override void Define(FlagSet flags) => flags
            .Switch("quiet", 'q', "names only", v => quiet = v)
            .Value("format", null, "format", "json", v => format = v);

        public override int Run(Invocation call)
        {
            call.Expect(0, 0);
            if (format is not (null or "json")) throw HullException.Invalid($"unknown format '{format}': expected json");
            var table = new Table("NAME", "STATUS", "CPUS", "MEMORY", "FIRMWARE", "DISKS", "SNAPSHOTS", "CREATED");
            foreach (var machine in MachineClient.List(call))
            {
                if (quiet) call.Output.WriteLine(machine.Name);
                else if (format == "json") call.Output.WriteLine(JsonSerializer.Serialize(machine, MachineProtocolJson.Default.MachineResource));
                else
                {
                    table.Add(machine.Name, machine.Status, $"{machine.Processors}", ByteSize.Binary(machine.MemoryBytes), machine.Firmware,
                        $"{machine.Disks.Count}", $"{machine.Snapshots.Count}", $"{machine.Created:yyyy-MM-dd HH:mm}");
                }
            }

            if (!quiet && format is null) table.Write(call.Output);
            return 0;
        }
    }

    private sealed class InspectVerb : Verb
    {
        public override string Usage => "vm inspect MACHINE...";

        public override int Run(Invocation call) => call.ForEach(machine =>
        {
            var resource = MachineClient.Get(call, machine);
            using var document = JsonSerializer.SerializeToDocument(resource, MachineProtocolJson.Default.MachineResource);
            using var text = new MemoryStream();
            using (var writer = new Utf8JsonWriter(text, new JsonWriterOptions { Indented = true })) document.WriteTo(writer);
            call.Output.WriteLine(System.Text.Encoding.UTF8.GetString(text.ToArray()));
        }, print: false);
    }

    private sealed class StopVerb : Verb
    {
        private long timeout = 60;

        public override string Usage => "vm stop [options] MACHINE...";

        public override void Define(FlagSet flags) => flags
            .Number("time", 't', "seconds the system has to shut down before its power is cut; 0 cuts it now", v => timeout = v);

        public override int Run(Invocation call) => call.ForEach(machine => MachineClient.Call(call, "POST", MachineClient.Path(machine, $"/stop?t={timeout}")));
    }

    private sealed class RemoveVerb : Verb
    {
        private bool force;

        public override string Usage => "vm rm [options] MACHINE...";

        public override void Define(FlagSet flags) => flags.Switch("force", 'f', "also machines that run", v => force = v);

        public override int Run(Invocation call) => call.ForEach(machine => MachineClient.Call(call, "DELETE", MachineClient.Path(machine, force ? "?force=1" : "")));
    }

    private sealed class RenameVerb : Verb
    {
        public override string Usage => "vm rename MACHINE NAME";

        public override int Run(Invocation call)
        {
            call.Expect(2, 2);
            EditVerb.Apply(call, call.Arguments[0], new MachineEditRequest { Name = call.Arguments[1] });
            call.Output.WriteLine(call.Arguments[1]);
            return 0;
        }
    }

    private sealed class CloneVerb : Verb
    {
        private bool linked;

        public override string Usage => "vm clone [options] MACHINE NAME";

        public override void Define(FlagSet flags) => flags
            .Switch("linked", null, "share the frozen disks of the source: made in a moment, and the source must stay", v => linked = v);

        public override int Run(Invocation call)
        {
            call.Expect(2, 2);
            var clone = MachineClient.Send(call, "POST", MachineClient.Path(call.Arguments[0], "/clone"), new MachineCloneRequest(call.Arguments[1], linked),
                MachineProtocolJson.Default.MachineCloneRequest, MachineProtocolJson.Default.MachineResource);
            call.Output.WriteLine(clone.Name);
            return 0;
        }
    }

    private sealed class ScreenshotVerb : Verb
    {
        private string? file;

        public override string Usage => "vm screenshot [options] MACHINE";

        public override void Define(FlagSet flags) => flags.Value("output", 'o', "file", "file to write (MACHINE.png)", v => file = v);

        public override int Run(Invocation call)
        {
            call.Expect(1, 1);
            var path = file ?? call.Arguments[0] + ".png";
            using var answer = call.Engine.Send("GET", MachineClient.Path(call.Arguments[0], "/screenshot"), raw: true);
            using (var output = new FileStream(path, FileMode.Create, FileAccess.Write)) answer.Content.CopyTo(output);
            call.Output.WriteLine(path);
            return 0;
        }
    }

    private sealed class BackupVerb : Verb
    {
        private bool incremental;

        public override string Usage => "vm backup [options] MACHINE DIRECTORY";

        public override void Define(FlagSet flags) => flags.Switch("incremental", 'i', "only what was written since the last backup there", v => incremental = v);

        public override int Run(Invocation call)
        {
            call.Expect(2, 2);
            var backup = MachineClient.Send(call, "POST", MachineClient.Path(call.Arguments[0], "/backups"),
                new MachineBackupRequest(EnginePath(call.Arguments[1]), incremental),
                MachineProtocolJson.Default.MachineBackupRequest, MachineProtocolJson.Default.MachineBackupResource);
            call.Output.WriteLine($"{Path.Combine(call.Arguments[1], backup.Name)}\t{ByteSize.Binary(backup.Bytes)}");
            return 0;
        }
    }

    private sealed class ExportVerb : Verb
    {
        public override string Usage => "vm export MACHINE FILE";

        public override int Run(Invocation call)
        {
            call.Expect(2, 2);
            var body = JsonSerializer.SerializeToUtf8Bytes(new MachineExportRequest(EnginePath(call.Arguments[1])), MachineProtocolJson.Default.MachineExportRequest);
            using var answer = call.Engine.Send("POST", MachineClient.Path(call.Arguments[0], "/export"), body, raw: true);
            call.Output.WriteLine(call.Arguments[1]);
            return 0;
        }
    }

    private sealed class ImportVerb(string name, string kind, string what) : Verb
    {
        public override string Usage => $"vm {name} {what} NAME";

        public override int Run(Invocation call)
        {
            call.Expect(2, 2);
            var machine = MachineClient.Send(call, "POST", "/hull/v1/machine-imports",
                new MachineImportRequest(kind, EnginePath(call.Arguments[0]), call.Arguments[1]),
                MachineProtocolJson.Default.MachineImportRequest, MachineProtocolJson.Default.MachineResource);
            call.Output.WriteLine(machine.Name);
            return 0;
        }
    }
}
