using System.Text.Json.Nodes;
using Hull.Cli.Containers;
using Hull.Core.CommandLine;

namespace Hull.Cli.Verbs;

/// <summary>Removes what nothing uses, and says what went.</summary>
internal sealed class PruneVerb(string name, string path, string member) : Verb
{
    private readonly FilterFlags filters = new();
    private bool force;

    public override string Usage => name + " [options]";

    public override void Define(FlagSet flags)
    {
        filters.Define(flags);
        flags.Switch("force", 'f', "do not ask", v => force = v)
            .Switch("all", 'a', "all of them, not only those without a name", v => { if (v) filters.Set("all", "true"); });
    }

    public override int Run(Invocation call)
    {
        call.Expect(0, 0);
        if (!force && !Confirm(call)) return 1;
        Prune(call, path + "?" + filters.Query().TrimStart('&'), member);
        return 0;
    }

    public static void Prune(Invocation call, string path, string member)
    {
        using var answer = call.Engine.Send("POST", path);
        var report = JsonNode.Parse(answer.Content);
        foreach (var item in report?[member] as JsonArray ?? [])
            call.Output.WriteLine(item is JsonObject image ? (image["Deleted"] ?? image["Untagged"])?.ToString() : item?.ToString());
        if (report?["SpaceReclaimed"] is JsonValue space) call.Output.WriteLine($"{ByteSize.Decimal(space.GetValue<long>())} reclaimed");
    }

    private bool Confirm(Invocation call)
    {
        if (!TerminalMode.IsInputTerminal) throw Core.HullException.Invalid($"hull {name} removes things: say --force where nobody can be asked");
        call.Error.Write($"hull {name} removes what nothing uses. Go on? [y/N] ");
        return Console.ReadLine()?.Trim().ToLowerInvariant() is "y" or "yes";
    }
}
