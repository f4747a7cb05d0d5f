using System.Text.Json;
using System.Text.Json.Nodes;
using Hull.Cli.Verbs;
using Hull.Client;
using Hull.Client.Formatting;
using Hull.Core;
using Hull.Core.CommandLine;
using Hull.Linux.Processes;
using Hull.Protocol;

namespace Hull.Cli.Engine;

/// <summary>
/// <c>hull doctor</c>: what the engine's machine lacks and how to get it. Where no engine answers on this machine, the
/// same checks are made by <c>hulld --diagnose</c>, which needs none. Ends with 1 when there is an error.
/// </summary>
internal sealed class DoctorVerb : Verb
{
    private bool leaks;
    private bool quiet;
    private string? format;

    public override string Usage => "doctor [options]";

    public override void Define(FlagSet flags) => flags
        .Switch("leaks", null, "only what belongs to no workload and no network", v => leaks = v)
        .Switch("quiet", 'q', "only what is amiss", v => quiet = v)
        .Value("format", 'f', "template", "json, table, or a Go template", v => format = v);

    public override int Run(Invocation call)
    {
        call.Expect(0, 0);
        var findings = Ask(call);
        if (quiet) findings = [.. findings.Where(finding => finding.Level != "ok")];
        if (format is null) Print(call, findings);
        else call.Output.Write(OutputFormat.Parse(format).Rows(findings.Select(Row), [new("AREA", "{{.Area}}"), new("LEVEL", "{{.Level}}"), new("MESSAGE", "{{.Message}}"), new("REMEDY", "{{.Remedy}}")]));
        return findings.Any(finding => finding.Level == "error") ? 1 : 0;
    }

    private List<DoctorFinding> Ask(Invocation call)
    {
        try
        {
            using var answer = call.Engine.Send("GET", "/hull/v1/doctor" + (leaks ? "?leaks=1" : ""), raw: true);
            return JsonSerializer.Deserialize(answer.Content, DockerJson.Wire.DoctorAnswer)!.Findings;
        }
        catch (HullException error) when (error.Kind is ErrorKind.Unavailable or ErrorKind.NotFound && !leaks && call.Endpoint.Kind == EndpointKind.Unix)
        {
            return [new DoctorFinding { Area = "engine", Level = "error", Message = error.FullMessage, Remedy = "systemctl start hulld, or run hulld as root" }, .. AskProgram()];
        }
    }

    private static List<DoctorFinding> AskProgram()
    {
        var beside = Path.Combine(AppContext.BaseDirectory, "hulld");
        try
        {
            var result = ChildProcess.Run(new ChildProcessOptions(File.Exists(beside) ? beside : "hulld", "--diagnose"));
            return JsonSerializer.Deserialize(result.Output, DockerJson.Wire.DoctorAnswer)!.Findings;
        }
        catch (HullException error)
        {
            return [new DoctorFinding { Area = "engine", Level = "error", Message = error.FullMessage, Remedy = "install hulld beside hull, or name another engine with -H" }];
        }
    }

    private static void Print(Invocation call, List<DoctorFinding> findings)
    {
        var width = findings.Count == 0 ? 0 : findings.Max(finding => finding.Area.Length);
        foreach (var finding in findings)
        {
            var mark = finding.Level switch { "ok" => Terminal.Green("ok     "), "warning" => Terminal.Yellow("warning"), _ => Terminal.Red("error  ") };
            call.Output.WriteLine($"{mark}  {finding.Area.PadRight(width)}  {Table.Clean(finding.Message)}");
            if (finding.Remedy.Length > 0 && finding.Level != "ok") call.Output.WriteLine($"{new string(' ', width + 11)}→ {Table.Clean(finding.Remedy)}");
        }
    }

    private static JsonObject Row(DoctorFinding finding) => new()
    {
        ["Area"] = finding.Area, ["Level"] = finding.Level, ["Message"] = finding.Message, ["Remedy"] = finding.Remedy,
    };
}
