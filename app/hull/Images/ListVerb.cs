using System.Globalization;
using System.Text.Json.Nodes;
using Hull.Client.Formatting;
using Hull.Cli.Verbs;
using Hull.Core;
using Hull.Core.CommandLine;
using Hull.Images;

namespace Hull.Cli.Images;

/// <summary><c>hull images</c>.</summary>
internal sealed class ListVerb : ImageVerb
{
    private static readonly TableColumn[] Columns =
    [
        new("REPOSITORY", "{{.Repository}}"), new("TAG", "{{.Tag}}"), new("IMAGE ID", "{{.ID}}"), new("CREATED", "{{.CreatedSince}}"), new("SIZE", "{{.Size}}"),
    ];

    private readonly List<string> _filters = [];
    private bool _quiet;
    private bool _whole;
    private bool _digests;
    private string? _format;

    public override string Usage => "images [options] [REPOSITORY[:TAG]]";

    public override void Define(FlagSet flags)
    {
        base.Define(flags);
        flags.Switch("quiet", 'q', "print ids only", value => _quiet = value)
            .Switch("no-trunc", null, "do not shorten ids", value => _whole = value)
            .Switch("digests", null, "show digests", value => _digests = value)
            .Switch("all", 'a', "for Docker's sake: there are no hidden images", _ => { })
            .Value("filter", 'f', "key=value", "dangling=true, reference=PATTERN, label=KEY[=VALUE], before=IMAGE, since=IMAGE", _filters.Add)
            .Value("format", null, "template", "json, table, or a template of Go's kind", value => _format = value);
    }

    protected override Task<int> RunAsync(Invocation call, CancellationToken cancellation)
    {
        call.Expect(0, 1);
        var images = OpenStore();
        var filter = ImageFilter.Parse(_filters, images);
        var rows = images.List().Where(filter.Accepts).SelectMany(summary => Rows(summary, call.Arguments.FirstOrDefault(), filter)).ToList();
        if (_quiet)
        {
            foreach (var id in rows.Select(row => row["ID"]!.GetValue<string>()).Distinct()) call.Output.WriteLine(id);
            return Task.FromResult(0);
        }

        TableColumn[] columns = _digests ? [.. Columns[..2], new TableColumn("DIGEST", "{{.Digest}}"), .. Columns[2..]] : Columns;
        call.Output.Write(OutputFormat.Parse(_format).Rows(rows, columns, new Dictionary<string, string> { ["CreatedAt"] = "CREATED AT", ["Digest"] = "DIGEST" }));
        return Task.FromResult(0);
    }

    private IEnumerable<JsonObject> Rows(ImageSummary summary, string? pattern, ImageFilter filter)
    {
        if (summary.References.Count == 0)
        {
            if (pattern is null && !filter.HasReference) yield return Row(summary, null);
            yield break;
        }

        foreach (var reference in summary.References)
        {
            if ((pattern is null || ImageFilter.Matches(reference, pattern)) && filter.AcceptsReference(reference)) yield return Row(summary, reference);
        }
    }

    private JsonObject Row(ImageSummary summary, ImageReference? reference) => new()
    {
        ["Repository"] = reference?.FamiliarName ?? "<none>",
        ["Tag"] = reference?.Tag ?? "<none>",
        ["Digest"] = summary.Target.Digest.ToString(),
        ["ID"] = _whole ? summary.Id.ToString() : summary.Id.Short,
        ["CreatedAt"] = summary.Created?.ToString("yyyy-MM-dd HH:mm:ss zzz", CultureInfo.InvariantCulture) ?? "",
        ["CreatedSince"] = HumanText.Ago(summary.Created, TimeProvider.System.GetUtcNow()),
        ["Size"] = HumanText.Size(summary.Size),
        ["Platforms"] = string.Join(',', summary.Platforms),
    };
}

/// <summary>What <c>--filter</c> asks of images.</summary>
internal sealed class ImageFilter
{
    private readonly List<Func<ImageSummary, bool>> _conditions = [];
    private readonly List<string> _references = [];

    public bool HasReference => _references.Count > 0;

    public static ImageFilter Parse(IEnumerable<string> texts, IImageService images)
    {
        var filter = new ImageFilter();
        foreach (var text in texts)
        {
            var equals = text.IndexOf('=', StringComparison.Ordinal);
            if (equals <= 0) throw HullException.Invalid($"invalid filter '{text}': expected key=value");
            filter.Add(text[..equals], text[(equals + 1)..], images);
        }

        return filter;
    }

    public bool Accepts(ImageSummary summary) => _conditions.TrueForAll(condition => condition(summary));

    public bool AcceptsReference(ImageReference reference) => _references.Count == 0 || _references.Exists(pattern => Matches(reference, pattern));

    /// <summary>Whether a name fits a pattern with '*' and '?', with or without a tag, short or in full.</summary>
    public static bool Matches(ImageReference reference, string pattern)
    {
        string[] names = pattern.LastIndexOf(':') > pattern.LastIndexOf('/')
            ? [reference.Familiar, reference.Canonical]
            : [reference.FamiliarName, reference.Repository];
        return names.Any(name => System.IO.Enumeration.FileSystemName.MatchesSimpleExpression(pattern, name, ignoreCase: false));
    }

    private void Add(string key, string value, IImageService images)
    {
        switch (key)
        {
            case "dangling":
                var wanted = value is "true" or "1";
                _conditions.Add(summary => summary.Dangling == wanted);
                break;
            case "reference":
                _references.Add(value);
                break;
            case "label":
                var parts = value.Split('=', 2);
                _conditions.Add(summary => summary.Labels.TryGetValue(parts[0], out var found) && (parts.Length == 1 || found == parts[1]));
                break;
            case "before" or "since":
                var limit = images.Resolve(value).Config.Created ?? DateTimeOffset.MinValue;
                _conditions.Add(summary => key == "before" ? summary.Created < limit : summary.Created > limit);
                break;
            default:
                throw HullException.Invalid($"unknown filter '{key}': there are dangling, reference, label, before and since");
        }
    }
}
