using System.Text.Json.Nodes;
using Hull.Cli.Verbs;
using Hull.Client.Formatting;
using Hull.Core;
using Hull.Core.CommandLine;

namespace Hull.Cli.Containers;

/// <summary><c>hull inspect</c>, of containers, images, networks and volumes, or of one kind alone.</summary>
internal sealed class InspectVerb(string usage, params (string Kind, string Path)[] kinds) : Verb
{
    private string? format;
    private string? kind;

    public override string Usage => usage;

    public override void Define(FlagSet flags)
    {
        flags.Value("format", 'f', "template", "json, or a Go template", v => format = v);
        if (kinds.Length > 1) flags.Value("type", null, "kind", "container, image, network or volume", v => kind = v);
    }

    public override int Run(Invocation call)
    {
        call.Expect(1);
        var found = new List<JsonNode>();
        var code = 0;
        foreach (var name in call.Arguments)
        {
            if (Find(call, name) is { } node)
            {
                found.Add(node);
                continue;
            }

            Terminal.PrintError($"no such object: {name}");
            code = 1;
        }

        call.Output.Write(OutputFormat.Parse(format).All(found));
        return code;
    }

    private JsonNode? Find(Invocation call, string name)
    {
        foreach (var (known, path) in kinds)
        {
            if (kind is not null && kind != known) continue;
            try
            {
                using var answer = call.Engine.Send("GET", path.Replace("{}", Uri.EscapeDataString(name), StringComparison.Ordinal));
                return JsonNode.Parse(answer.Content);
            }
            catch (HullException e) when (e.Kind == ErrorKind.NotFound)
            {
                // Perhaps it is of another kind.
            }
        }

        return null;
    }
}
