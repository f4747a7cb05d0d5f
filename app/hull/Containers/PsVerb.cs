using System.Globalization;
using System.Text.Json.Nodes;
using Hull.Cli.Verbs;
using Hull.Client.Formatting;
using Hull.Core.CommandLine;
using Hull.Protocol;

namespace Hull.Cli.Containers;

/// <summary><c>hull ps</c>.</summary>
internal sealed class PsVerb : Verb
{
    private static readonly TableColumn[] Columns =
    [
        new("CONTAINER ID", "{{.ID}}"), new("IMAGE", "{{.Image}}"), new("COMMAND", "{{.Command}}"),
        new("CREATED", "{{.RunningFor}}"), new("STATUS", "{{.Status}}"), new("PORTS", "{{.Ports}}"), new("NAMES", "{{.Names}}"),
    ];

    private readonly FilterFlags filters = new();
    private bool all;
    private bool quiet;
    private bool full;
    private bool size;
    private bool latest;
    private long last;
    private string? format;

    public override string Usage => "ps [options]";

    public override void Define(FlagSet flags)
    {
        filters.Define(flags);
        flags.Switch("all", 'a', "also those that do not run", v => all = v)
            .Switch("quiet", 'q', "ids only", v => quiet = v)
            .Switch("no-trunc", null, "do not shorten", v => full = v)
            .Switch("size", 's', "measure their files", v => size = v)
            .Switch("latest", 'l', "the newest only", v => latest = v)
            .Number("last", 'n', "the newest so many", v => last = v)
            .Value("format", null, "template", "json, table, or a Go template", v => format = v);
    }

    public override int Run(Invocation call)
    {
        call.Expect(0, 0);
        var limit = latest ? 1 : last;
        var query = $"/containers/json?all={(all || limit > 0 ? 1 : 0)}&limit={limit}&size={(size ? 1 : 0)}{filters.Query()}";
        var containers = call.Engine.Get(query, DockerJson.Wire.ListContainerSummary);
        if (quiet)
        {
            foreach (var container in containers) call.Output.WriteLine(full ? container.Id : Short(container.Id));
            return 0;
        }

        var columns = size ? [.. Columns, new TableColumn("SIZE", "{{.Size}}")] : Columns;
        call.Output.Write(OutputFormat.Parse(format).Rows(containers.Select(Row), columns));
        return 0;
    }

    private JsonObject Row(ContainerSummary container)
    {
        var command = full || container.Command.Length <= 20 ? container.Command : container.Command[..19] + "…";
        return new JsonObject
        {
            ["ID"] = full ? container.Id : Short(container.Id),
            ["Image"] = Table.Clean(container.Image),
            ["Command"] = '"' + Table.Clean(command) + '"',
            ["CreatedAt"] = DateTimeOffset.FromUnixTimeSeconds(container.Created).ToString("yyyy-MM-dd HH:mm:ss zzz", CultureInfo.InvariantCulture),
            ["RunningFor"] = Ago.Since(container.Created),
            ["Status"] = container.Status,
            ["State"] = container.State,
            ["Ports"] = Ports(container.Ports),
            ["Names"] = string.Join(',', container.Names.Select(n => n.TrimStart('/'))),
            ["Labels"] = string.Join(',', container.Labels.Select(l => l.Key + "=" + l.Value)),
            ["LabelMap"] = new JsonObject(container.Labels.Select(l => KeyValuePair.Create(l.Key, (JsonNode?)l.Value))),
            ["Mounts"] = string.Join(',', container.Mounts.Select(m => m.Name ?? m.Source)),
            ["Networks"] = string.Join(',', container.NetworkSettings.Networks.Keys),
            ["Isolation"] = container.Isolation,
            ["LocalVolumes"] = container.Mounts.Count(m => m.Driver == "local").ToString(CultureInfo.InvariantCulture),
            ["Size"] = container.SizeRw is { } bytes ? $"{ByteSize.Decimal(bytes)} (virtual {ByteSize.Decimal(container.SizeRootFs ?? 0)})" : "0B",
        };
    }

    /// <summary>Says from where each port is reached: from this machine alone, or from others too.</summary>
    private static string Ports(List<PortSummary> ports) => string.Join(", ", ports
        .OrderBy(p => p.PrivatePort).Select(p => p.PublicPort == 0
            ? $"{p.PrivatePort}/{p.Type}"
            : $"{(p.IP is { } ip && ip.Contains(':', StringComparison.Ordinal) ? $"[{ip}]" : p.IP)}:{p.PublicPort}->{p.PrivatePort}/{p.Type}"));

    private static string Short(string id) => id.Length > 12 ? id[..12] : id;
}
