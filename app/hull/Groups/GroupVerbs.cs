using System.Globalization;
using System.Text.Json;
using System.Text.Json.Nodes;
using Hull.Cli.Containers;
using Hull.Cli.Verbs;
using Hull.Client.Formatting;
using Hull.Core.CommandLine;
using Hull.Protocol;
using Hull.Protocol.Containers;

namespace Hull.Cli.Groups;

/// <summary><c>hull group</c>: containers and virtual machines that share one allowance.</summary>
internal static class GroupVerbs
{
    private const string Groups = "/hull/v1/groups";

    public static VerbEntry[] All() =>
    [
        new("create", "Make a group", () => new ChangeGroupVerb("create")),
        new("ls", "List groups", () => new ListGroupsVerb(), "list"),
        new("inspect", "Show everything about groups", () => new InspectGroupsVerb()),
        new("update", "Change a group, and what runs in it at once", () => new ChangeGroupVerb("update")),
        new("rm", "Remove groups that have no members", () => new RemoveGroupsVerb(), "remove"),
    ];

    private static string Path(string name) => Groups + "/" + Uri.EscapeDataString(name);

    private sealed class ChangeGroupVerb(string verb) : Verb
    {
        private readonly ResourceSettings limits = new();

        public override string Usage => $"group {verb} [options] NAME";

        public override void Define(FlagSet flags) => ResourceFlags.Define(flags, limits);

        public override int Run(Invocation call)
        {
            call.Expect(1, 1);
            var isNew = verb == "create";
            var body = JsonSerializer.SerializeToUtf8Bytes(new GroupRequest(isNew ? call.Arguments[0] : null, limits), GroupProtocolJson.Default.GroupRequest);
            call.Engine.Call(isNew ? "POST" : "PUT", isNew ? Groups : Path(call.Arguments[0]), body, raw: true);
            call.Output.WriteLine(call.Arguments[0]);
            return 0;
        }
    }

    private sealed class ListGroupsVerb : Verb
    {
        private bool quiet;

        public override string Usage => "group ls [options]";

        public override void Define(FlagSet flags) => flags.Switch("quiet", 'q', "names only", v => quiet = v);

        public override int Run(Invocation call)
        {
            call.Expect(0, 0);
            using var answer = call.Engine.Send("GET", Groups, raw: true);
            var groups = JsonSerializer.Deserialize(answer.Content, GroupProtocolJson.Default.ListGroupResource) ?? [];
            if (quiet)
            {
                foreach (var group in groups) call.Output.WriteLine(group.Name);
                return 0;
            }

            var table = new Table("NAME", "SHARES", "CPUS", "CPU RESERVED", "MEMORY", "MEMORY RESERVED", "PRIORITY", "MEMBERS");
            foreach (var group in groups)
            {
                var limits = group.Resources;
                table.Add(group.Name, Number(limits.CpuShares), AllocationRow.Cpus(limits.NanoCpus),
                    $"{AllocationRow.Cpus(group.ReservedCpus)} of {AllocationRow.Cpus(limits.CpuReservation)}", AllocationRow.Bytes(limits.Memory),
                    $"{AllocationRow.Bytes(group.ReservedMemory)} of {AllocationRow.Bytes(limits.MemoryReservation)}", Number(limits.Priority ?? 0), string.Join(',', group.Members));
            }

            table.Write(call.Output);
            return 0;
        }

        private static string Number(long number) => number == 0 ? "-" : number.ToString(CultureInfo.InvariantCulture);
    }

    private sealed class InspectGroupsVerb : Verb
    {
        private string? format;

        public override string Usage => "group inspect [options] NAME...";

        public override void Define(FlagSet flags) => flags.Value("format", 'f', "template", "json, or a Go template", v => format = v);

        public override int Run(Invocation call)
        {
            call.Expect(1);
            var found = new List<JsonNode>();
            foreach (var name in call.Arguments)
            {
                using var answer = call.Engine.Send("GET", Path(name), raw: true);
                found.Add(JsonNode.Parse(answer.Content)!);
            }

            call.Output.Write(OutputFormat.Parse(format).All(found));
            return 0;
        }
    }

    private sealed class RemoveGroupsVerb : Verb
    {
        public override string Usage => "group rm NAME...";

        public override int Run(Invocation call) => call.ForEach(name => call.Engine.Call("DELETE", Path(name), raw: true));
    }
}
