using Hull.Cli.Verbs;
using Hull.Core.CommandLine;
using Hull.Protocol.Machines;

namespace Hull.Cli.Vm;

/// <summary><c>hull vm snapshot</c>.</summary>
internal static class SnapshotVerbs
{
    public static VerbEntry[] All() =>
    [
        new("create", "Freeze the disks, and with --memory the running system", () => new CreateVerb()),
        new("ls", "List a machine's snapshots", () => new ListVerb(), "list"),
        new("restore", "Go back to a snapshot; what came after it is lost", () => new RestoreVerb()),
        new("rm", "Remove a snapshot, keeping what stands on it", () => new RemoveVerb(), "delete"),
    ];

    private static string Path(Invocation call, string rest = "") =>
        MachineClient.Path(call.Arguments[0], "/snapshots/" + Uri.EscapeDataString(call.Arguments[1]) + rest);

    private sealed class CreateVerb : Verb
    {
        private bool memory;
        private string description = "";

        public override string Usage => "vm snapshot create [options] MACHINE NAME";

        public override void Define(FlagSet flags) => flags
            .Switch("memory", null, "also the memory of the running system: it goes on from there after a restore", v => memory = v)
            .Value("description", null, "text", "what it is", v => description = v);

        public override int Run(Invocation call)
        {
            call.Expect(2, 2);
            MachineClient.Send(call, "POST", MachineClient.Path(call.Arguments[0], "/snapshots"), new MachineSnapshotRequest(call.Arguments[1], memory, description),
                MachineProtocolJson.Default.MachineSnapshotRequest, MachineProtocolJson.Default.MachineSnapshotResource);
            call.Output.WriteLine(call.Arguments[1]);
            return 0;
        }
    }

    private sealed class ListVerb : Verb
    {
        public override string Usage => "vm snapshot ls MACHINE";

        public override int Run(Invocation call)
        {
            call.Expect(1, 1);
            var machine = MachineClient.Get(call, call.Arguments[0]);
            var table = new Table("NAME", "PARENT", "MEMORY", "CREATED", "DESCRIPTION");
            foreach (var snapshot in machine.Snapshots)
            {
                table.Add(snapshot.Name + (snapshot.Name == machine.Current ? " *" : ""), snapshot.Parent ?? "", snapshot.Memory ? "yes" : "no",
                    $"{snapshot.Created:yyyy-MM-dd HH:mm:ss}", snapshot.Description);
            }

            table.Write(call.Output);
            return 0;
        }
    }

    private sealed class RestoreVerb : Verb
    {
        public override string Usage => "vm snapshot restore MACHINE NAME";

        public override int Run(Invocation call)
        {
            call.Expect(2, 2);
            MachineClient.Call(call, "POST", Path(call, "/restore"));
            call.Output.WriteLine(call.Arguments[1]);
            return 0;
        }
    }

    private sealed class RemoveVerb : Verb
    {
        public override string Usage => "vm snapshot rm MACHINE NAME";

        public override int Run(Invocation call)
        {
            call.Expect(2, 2);
            MachineClient.Call(call, "DELETE", Path(call));
            call.Output.WriteLine(call.Arguments[1]);
            return 0;
        }
    }
}
