using System.Globalization;
using System.Text.Json;
using System.Text.Json.Nodes;
using Hull.Client.Formatting;
using Hull.Cli.Verbs;
using Hull.Core;
using Hull.Core.CommandLine;
using Hull.Images;
using Hull.Oci.Image;

namespace Hull.Cli.Images;

/// <summary><c>hull image inspect</c>.</summary>
internal sealed class InspectVerb : ImageVerb
{
    private string? _format;
    private string? _platform;

    public override string Usage => "image inspect [options] IMAGE...";

    public override void Define(FlagSet flags)
    {
        base.Define(flags);
        flags.Value("format", 'f', "template", "json, or a template of Go's kind", value => _format = value)
            .Value("platform", null, "os/arch", "platform of an image that has several", value => _platform = value);
    }

    protected override Task<int> RunAsync(Invocation call, CancellationToken cancellation)
    {
        call.Expect(1);
        var images = OpenStore();
        var found = new List<JsonNode>();
        var code = ForEach(call, name => found.Add(Describe(images.Resolve(name, ParsePlatform(_platform)))));
        call.Output.Write(OutputFormat.Parse(_format).All(found));
        return Task.FromResult(code);
    }

    /// <summary>An image in the words of <c>docker image inspect</c>, and what those leave out.</summary>
    internal static JsonObject Describe(Image image) => new()
    {
        ["Id"] = image.Id.ToString(),
        ["RepoTags"] = Texts(image.References.Where(reference => reference.Tag is not null).Select(reference => reference.Familiar)),
        ["RepoDigests"] = Texts(image.References.Select(reference => $"{reference.FamiliarName}@{image.Target.Digest}").Distinct()),
        ["Comment"] = image.Config.Comment ?? "",
        ["Created"] = image.Config.Created?.ToString("yyyy-MM-dd'T'HH:mm:ss.FFFFFFF'Z'", CultureInfo.InvariantCulture),
        ["DockerVersion"] = image.Config.DockerVersion ?? "",
        ["Author"] = image.Config.Author ?? "",
        ["Config"] = JsonSerializer.SerializeToNode(image.Config.Config ?? new ContainerDefaults(), ImageJson.Default.ContainerDefaults),
        ["Architecture"] = image.Config.Architecture,
        ["Variant"] = image.Config.Variant,
        ["Os"] = image.Config.Os,
        ["Size"] = image.Size,
        ["RootFS"] = new JsonObject { ["Type"] = "layers", ["Layers"] = Texts(image.DiffIds.Select(id => id.ToString())) },
        ["Descriptor"] = JsonSerializer.SerializeToNode(image.Target, ImageJson.Default.Descriptor),
        ["Manifest"] = JsonNode.Parse(image.Manifest.Bytes),
    };

    private static JsonArray Texts(IEnumerable<string> texts) => [.. texts.Select(text => (JsonNode?)JsonValue.Create(text))];
}

/// <summary><c>hull history</c>.</summary>
internal sealed class HistoryVerb : ImageVerb
{
    private static readonly TableColumn[] Columns =
        [new("IMAGE", "{{.ID}}"), new("CREATED", "{{.CreatedSince}}"), new("CREATED BY", "{{.CreatedBy}}"), new("SIZE", "{{.Size}}"), new("COMMENT", "{{.Comment}}")];

    private const int ShortCommand = 45;

    private bool _quiet;
    private bool _whole;
    private string? _format;

    public override string Usage => "history [options] IMAGE";

    public override void Define(FlagSet flags)
    {
        base.Define(flags);
        flags.Switch("quiet", 'q', "print ids only", value => _quiet = value)
            .Switch("no-trunc", null, "do not shorten", value => _whole = value)
            .Switch("human", 'H', "sizes and times as people read them (always)", _ => { })
            .Value("format", null, "template", "json, table, or a template of Go's kind", value => _format = value);
    }

    protected override Task<int> RunAsync(Invocation call, CancellationToken cancellation)
    {
        call.Expect(1, 1);
        var images = OpenStore();
        var rows = images.History(images.Resolve(call.Argument(0, "image"))).Select(Row).ToList();
        if (_quiet)
        {
            foreach (var row in rows) call.Output.WriteLine(row["ID"]!.GetValue<string>());
        }
        else
        {
            call.Output.Write(OutputFormat.Parse(_format).Rows(rows, Columns));
        }

        return Task.FromResult(0);
    }

    private JsonObject Row(ImageHistory step)
    {
        var command = string.Concat(step.CreatedBy.Select(c => char.IsControl(c) ? ' ' : c));
        return new JsonObject
        {
            ["ID"] = step.Id is not { } id ? "<missing>" : _whole ? id.ToString() : id.Short,
            ["CreatedAt"] = step.Created?.ToString("yyyy-MM-dd'T'HH:mm:sszzz", CultureInfo.InvariantCulture) ?? "",
            ["CreatedSince"] = HumanText.Ago(step.Created, TimeProvider.System.GetUtcNow()),
            ["CreatedBy"] = _whole || command.Length <= ShortCommand ? command : command[..(ShortCommand - 1)] + "…",
            ["Size"] = HumanText.Size(step.Size),
            ["Comment"] = step.Comment,
        };
    }
}

/// <summary><c>hull image verify</c>.</summary>
internal sealed class VerifyVerb : ImageVerb
{
    private bool _quick;
    private string? _format;

    public override string Usage => "image verify [options]";

    public override void Define(FlagSet flags)
    {
        base.Define(flags);
        flags.Switch("quick", null, "sizes and references only, without reading every byte", value => _quick = value)
            .Value("format", null, "template", "json, or a template of Go's kind", value => _format = value);
    }

    protected override Task<int> RunAsync(Invocation call, CancellationToken cancellation)
    {
        call.Expect(0, 0);
        var report = OpenStore().Verify(!_quick, cancellation);
        if (_format is not null)
        {
            call.Output.Write(OutputFormat.Parse(_format).One(new JsonObject
            {
                ["Blobs"] = report.Blobs,
                ["References"] = report.References,
                ["Snapshots"] = report.Snapshots,
                ["Bytes"] = report.Bytes,
                ["Problems"] = new JsonArray([.. report.Problems.Select(problem => (JsonNode?)JsonValue.Create(problem))]),
            }));
        }
        else
        {
            foreach (var problem in report.Problems) call.Output.WriteLine(problem);
            call.Output.WriteLine($"{report.Blobs} blobs ({HumanText.Size(report.Bytes)}), {report.References} references, {report.Snapshots} snapshots: "
                + (report.Clean ? "all is well" : $"{report.Problems.Count} problems"));
        }

        return Task.FromResult(report.Clean ? 0 : 1);
    }
}
