using System.Globalization;
using System.Text.Json;
using System.Text.Json.Serialization.Metadata;
using Hull.Cli.Verbs;
using Hull.Core.CommandLine;
using Hull.Protocol.Containers;

namespace Hull.Cli.Containers;

/// <summary><c>hull fork</c>.</summary>
internal sealed class ForkVerb : Verb
{
    private readonly List<string> names = [];
    private int count = 1;

    public override string Usage => "fork [options] CONTAINER";

    public override void Define(FlagSet flags) => flags
        .Value("count", null, "number", "how many (1)", v => count = int.Parse(v, NumberStyles.None, CultureInfo.InvariantCulture))
        .Value("name", null, "name", "name of a fork; once for each", names.Add);

    public override int Run(Invocation call)
    {
        call.Expect(1, 1);
        var answer = SavedWorkloads.Send(call, "POST", SavedWorkloads.Path(call, "/fork"), new ForkWorkloadRequest(count, names),
            WorkloadProtocolJson.Default.ForkWorkloadRequest, WorkloadProtocolJson.Default.ForkWorkloadAnswer);
        foreach (var name in answer.Names) call.Output.WriteLine(name);
        return 0;
    }
}

/// <summary><c>hull snapshot</c>: memory and disk of a running workload.</summary>
internal static class SavedVerbs
{
    public static VerbEntry[] All() =>
    [
        new("create", "Keep memory and disk as they are now", () => new CreateSnapshotVerb()),
        new("ls", "List a container's snapshots", () => new ListSnapshotsVerb(), "list"),
        new("restore", "Go on from a snapshot; what came after it is lost", () => new ChangeSnapshotVerb("restore", "POST", "/restore")),
        new("rm", "Remove a snapshot", () => new ChangeSnapshotVerb("rm", "DELETE", ""), "delete"),
    ];

    private sealed class CreateSnapshotVerb : Verb
    {
        public override string Usage => "snapshot create CONTAINER NAME";

        public override int Run(Invocation call)
        {
            call.Expect(2, 2);
            var made = SavedWorkloads.Send(call, "POST", SavedWorkloads.Path(call, "/snapshots"), new WorkloadSnapshotRequest(call.Arguments[1]),
                WorkloadProtocolJson.Default.WorkloadSnapshotRequest, WorkloadProtocolJson.Default.WorkloadSnapshotResource);
            call.Output.WriteLine(made.Name);
            return 0;
        }
    }

    private sealed class ListSnapshotsVerb : Verb
    {
        public override string Usage => "snapshot ls CONTAINER";

        public override int Run(Invocation call)
        {
            call.Expect(1, 1);
            var table = new Table("NAME", "CREATED");
            using var answer = call.Engine.Send("GET", SavedWorkloads.Path(call, "/snapshots"), raw: true);
            foreach (var snapshot in JsonSerializer.Deserialize(answer.Content, WorkloadProtocolJson.Default.ListWorkloadSnapshotResource) ?? [])
                table.Add(snapshot.Name, $"{snapshot.Created:yyyy-MM-dd HH:mm:ss}");
            table.Write(call.Output);
            return 0;
        }
    }

    private sealed class ChangeSnapshotVerb(string verb, string method, string rest) : Verb
    {
        public override string Usage => $"snapshot {verb} CONTAINER NAME";

        public override int Run(Invocation call)
        {
            call.Expect(2, 2);
            call.Engine.Call(method, SavedWorkloads.Path(call, "/snapshots/" + Uri.EscapeDataString(call.Arguments[1]) + rest), raw: true);
            call.Output.WriteLine(call.Arguments[1]);
            return 0;
        }
    }
}

/// <summary>What the verbs ask of the engine's own API for workloads.</summary>
internal static class SavedWorkloads
{
    public static string Path(Invocation call, string rest) => $"/hull/v1/workloads/{Uri.EscapeDataString(call.Arguments[0])}{rest}";

    public static TAnswer Send<TBody, TAnswer>(Invocation call, string method, string path, TBody body, JsonTypeInfo<TBody> bodyType, JsonTypeInfo<TAnswer> answerType)
        where TAnswer : class
    {
        using var answer = call.Engine.Send(method, path, JsonSerializer.SerializeToUtf8Bytes(body, bodyType), raw: true);
        return JsonSerializer.Deserialize(answer.Content, answerType) ?? throw Hull.Core.HullException.Internal("the engine's answer is empty");
    }
}
