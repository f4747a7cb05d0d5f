using System.Text.Json;
using Hull.Cli.Containers;
using Hull.Cli.Files;
using Hull.Cli.Networks;
using Hull.Cli.Verbs;
using Hull.Core;
using Hull.Core.CommandLine;
using Hull.Protocol;

namespace Hull.Cli.Volumes;

/// <summary>What <c>hull volume</c> does with content: snapshots, clones, backups.</summary>
internal static class VolumeContentVerbs
{
    public static VerbEntry[] All() =>
    [
        VerbEntry.ForGroup("snapshot", "Keep a volume's content, and go back to it", Snapshots),
        new("clone", "Make a volume with the content of another", () => new CloneVerb()),
        new("backup", "Write a volume's content as an archive", () => new BackUpVerb()),
        new("restore", "Make a volume of an archive", () => new RestoreVerb()),
    ];

    private static VerbEntry[] Snapshots() =>
    [
        new("create", "Keep what is in a volume now", () => new SnapshotVerb()),
        new("ls", "List a volume's snapshots", () => new ListVerb(), "list"),
        new("restore", "Put a snapshot's content back; what came after it is lost", () => new NamedVerb("restore", "POST", "/restore")),
        new("rm", "Remove a snapshot", () => new NamedVerb("rm", "DELETE", ""), "remove"),
    ];

    private static string Path(string volume, string rest) => $"/hull/v1/volumes/{Uri.EscapeDataString(volume)}/{rest}";

    private sealed class SnapshotVerb : Verb
    {
        public override string Usage => "volume snapshot create VOLUME NAME";

        public override int Run(Invocation call)
        {
            call.Expect(2, 2);
            var body = JsonSerializer.SerializeToUtf8Bytes(new VolumeSnapshotRequest { Name = call.Arguments[1] }, DockerJson.Wire.VolumeSnapshotRequest);
            call.Engine.Send("POST", Path(call.Arguments[0], "snapshots"), body, raw: true).Dispose();
            call.Output.WriteLine(call.Arguments[1]);
            return 0;
        }
    }

    private sealed class ListVerb : Verb
    {
        public override string Usage => "volume snapshot ls VOLUME";

        public override int Run(Invocation call)
        {
            call.Expect(1, 1);
            using var answer = call.Engine.Send("GET", Path(call.Arguments[0], "snapshots"), raw: true);
            var table = new Table("NAME", "CREATED", "SIZE");
            foreach (var one in JsonSerializer.Deserialize(answer.Content, DockerJson.Wire.ListVolumeSnapshotInfo)!) table.Add(one.Name, one.CreatedAt, ByteSize.Decimal(one.Size));
            table.Write(call.Output);
            return 0;
        }
    }

    private sealed class NamedVerb(string name, string method, string rest) : Verb
    {
        public override string Usage => $"volume snapshot {name} VOLUME NAME";

        public override int Run(Invocation call)
        {
            call.Expect(2, 2);
            call.Engine.Send(method, Path(call.Arguments[0], $"snapshots/{Uri.EscapeDataString(call.Arguments[1])}{rest}"), raw: true).Dispose();
            call.Output.WriteLine(call.Arguments[1]);
            return 0;
        }
    }

    private sealed class CloneVerb : Verb
    {
        private readonly VolumeCloneRequest request = new();

        public override string Usage => "volume clone [options] VOLUME NAME";

        public override void Define(FlagSet flags) => flags
            .Value("snapshot", null, "name", "the content of a snapshot instead of that of now", v => request.Snapshot = v)
            .Value("opt", 'o', "key=value", "option of the new volume, such as size=1g", v => NetworkVerbs.Pair(request.DriverOpts ??= [], v))
            .Value("label", null, "key=value", "label of the new volume", v => NetworkVerbs.Pair(request.Labels ??= [], v));

        public override int Run(Invocation call)
        {
            call.Expect(2, 2);
            request.Name = call.Arguments[1];
            call.Engine.Send("POST", Path(call.Arguments[0], "clone"), JsonSerializer.SerializeToUtf8Bytes(request, DockerJson.Wire.VolumeCloneRequest), raw: true).Dispose();
            call.Output.WriteLine(request.Name);
            return 0;
        }
    }

    private sealed class BackUpVerb : Verb
    {
        private string? output;

        public override string Usage => "volume backup [options] VOLUME";

        public override void Define(FlagSet flags) => flags.Value("output", 'o', "file", "write to a file instead of standard output", v => output = v);

        public override int Run(Invocation call)
        {
            call.Expect(1, 1);
            ArchiveOutput.Check(output);
            using var answer = call.Engine.Send("GET", Path(call.Arguments[0], "backup"), raw: true);
            ArchiveOutput.Write(answer.Content, output);
            return 0;
        }
    }

    private sealed class RestoreVerb : Verb
    {
        private readonly List<string> query = [];
        private string? input;

        public override string Usage => "volume restore [options] NAME";

        public override void Define(FlagSet flags) => flags
            .Value("input", 'i', "file", "read from a file instead of standard input; plain, gzip and zstd", v => input = v)
            .Value("opt", 'o', "key=value", "option of the new volume, such as size=1g", v => query.Add("opt=" + Uri.EscapeDataString(v)))
            .Value("label", null, "key=value", "label of the new volume", v => query.Add("label=" + Uri.EscapeDataString(v)));

        public override int Run(Invocation call)
        {
            call.Expect(1, 1);
            using var source = input is null ? Console.OpenStandardInput() : new FileStream(input, FileMode.Open, FileAccess.Read);
            call.Engine.SendStream("PUT", Path(call.Arguments[0], "backup") + "?" + string.Join('&', query), source.CopyTo, "application/x-tar", raw: true).Dispose();
            call.Output.WriteLine(call.Arguments[0]);
            return 0;
        }
    }
}
