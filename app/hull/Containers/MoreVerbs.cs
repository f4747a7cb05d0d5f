using System.Globalization;
using System.Text.Json;
using Hull.Cli.Files;
using Hull.Cli.Verbs;
using Hull.Core;
using Hull.Core.CommandLine;
using Hull.Protocol;

namespace Hull.Cli.Containers;

/// <summary><c>hull port</c>.</summary>
internal sealed class PortVerb : Verb
{
    public override string Usage => "port CONTAINER [PORT[/PROTOCOL]]";

    public override int Run(Invocation call)
    {
        call.Expect(1, 2);
        var wanted = call.Arguments.Count == 2 ? call.Arguments[1].Contains('/', StringComparison.Ordinal) ? call.Arguments[1] : call.Arguments[1] + "/tcp" : null;
        var ports = call.Engine.Get($"/containers/{Uri.EscapeDataString(call.Arguments[0])}/json", DockerJson.Wire.ContainerInspect).NetworkSettings.Ports;
        var found = false;
        foreach (var (port, bindings) in ports)
        {
            foreach (var binding in bindings ?? [])
            {
                if (wanted is not null && port != wanted) continue;
                found = true;
                var host = binding.HostIp?.Contains(':', StringComparison.Ordinal) == true ? $"[{binding.HostIp}]" : binding.HostIp;
                call.Output.WriteLine(wanted is null ? $"{port} -> {host}:{binding.HostPort}" : $"{host}:{binding.HostPort}");
            }
        }

        return found || wanted is null ? 0 : throw HullException.NotFound($"port {wanted} of {call.Arguments[0]} is not published: hull update --publish publishes it");
    }
}

/// <summary><c>hull diff</c>.</summary>
internal sealed class ChangesVerb : Verb
{
    public override string Usage => "diff CONTAINER";

    public override int Run(Invocation call)
    {
        call.Expect(1, 1);
        foreach (var change in call.Engine.Get($"/containers/{Uri.EscapeDataString(call.Arguments[0])}/changes", DockerJson.Wire.ListFilesystemChange))
            call.Output.WriteLine($"{"CAD"[Math.Clamp(change.Kind, 0, 2)]} {Table.Clean(change.Path)}");
        return 0;
    }
}

/// <summary><c>hull export</c>.</summary>
internal sealed class ExportVerb : Verb
{
    private string? output;

    public override string Usage => "export [options] CONTAINER";

    public override void Define(FlagSet flags) => flags.Value("output", 'o', "file", "write to a file instead of standard output", v => output = v);

    public override int Run(Invocation call)
    {
        call.Expect(1, 1);
        ArchiveOutput.Check(output);
        using var answer = call.Engine.Send("GET", $"/containers/{Uri.EscapeDataString(call.Arguments[0])}/export");
        ArchiveOutput.Write(answer.Content, output);
        return 0;
    }
}

/// <summary><c>hull commit</c>.</summary>
internal sealed class CommitVerb : Verb
{
    private readonly List<string> changes = [];
    private string author = "";
    private string message = "";
    private bool pause = true;

    public override string Usage => "commit [options] CONTAINER [IMAGE[:TAG]]";

    public override void Define(FlagSet flags) => flags
        .Value("author", 'a', "text", "author", v => author = v)
        .Value("message", 'm', "text", "comment", v => message = v)
        .Value("change", 'c', "instruction", "Dockerfile instruction to apply", changes.Add)
        .Switch("pause", 'p', "freeze the container meanwhile (default)", v => pause = v);

    public override int Run(Invocation call)
    {
        call.Expect(1, 2);
        var reference = call.Arguments.Count == 2 ? ImageReference.Parse(call.Arguments[1]).WithDefaultTag() : null;
        var query = $"/commit?container={Uri.EscapeDataString(call.Arguments[0])}&pause={(pause ? 1 : 0)}&author={Uri.EscapeDataString(author)}&comment={Uri.EscapeDataString(message)}"
            + (reference is null ? "" : $"&repo={Uri.EscapeDataString(reference.FamiliarName)}&tag={Uri.EscapeDataString(reference.Tag ?? "")}")
            + string.Concat(changes.Select(c => "&changes=" + Uri.EscapeDataString(c)));
        using var answer = call.Engine.Send("POST", query);
        call.Output.WriteLine(JsonSerializer.Deserialize(answer.Content, DockerJson.Wire.IdAnswer)!.Id);
        return 0;
    }
}

/// <summary><c>hull update</c>: limits while it runs; ports, mounts, labels and policies too.</summary>
internal sealed class UpdateVerb : Verb
{
    private readonly ContainerUpdateRequest request = new();
    private readonly SortedSet<string> exposed = [];
    private readonly List<string> binds = [];

    public override string Usage => "update [options] CONTAINER...";

    public override void Define(FlagSet flags)
    {
        ResourceFlags.Define(flags, request);
        flags.Value("restart", null, "policy", "no, on-failure[:times], always or unless-stopped", v => request.RestartPolicy = ResourceFlags.Restart(v))
            .Value("publish", 'p', "[[address:]port:]port[/protocol]", "publish exactly these ports", v => PortOption.Add(request.PortBindings ??= [], exposed, v))
            .Switch("publish-none", null, "publish no ports", _ => request.PortBindings ??= [])
            .Value("volume", 'v', "source:target[:options]", "mount exactly these from the next start on", binds.Add)
            .Value("mount", null, "type=…", "mount exactly these from the next start on", v => (request.Mounts ??= []).Add(MountOption.Parse(v)))
            .Value("group", null, "name", "share this group's resources from the next start on, \"\" for none", v => request.Group = v)
            .Value("label", 'l', "key=value", "have exactly these labels", v => (request.Labels ??= [])[v.Split('=')[0]] = v.Contains('=', StringComparison.Ordinal) ? v[(v.IndexOf('=', StringComparison.Ordinal) + 1)..] : "");
    }

    public override int Run(Invocation call) => call.ForEach(container =>
    {
        if (binds.Count > 0) request.Binds = binds;
        var answer = call.Engine.Post($"/containers/{Uri.EscapeDataString(container)}/update", request, DockerJson.Wire.ContainerUpdateRequest, DockerJson.Wire.ContainerUpdateAnswer);
        foreach (var warning in answer.Warnings) call.Error.WriteLine("WARNING: " + warning);
    });
}
