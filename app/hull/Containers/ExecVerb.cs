using System.Text.Json;
using Hull.Cli.Verbs;
using Hull.Core;
using Hull.Core.CommandLine;
using Hull.Protocol;

namespace Hull.Cli.Containers;

/// <summary><c>hull exec</c>.</summary>
internal sealed class ExecVerb : Verb, ICommandRunner
{
    private readonly ExecCreateRequest request = new();
    private readonly List<string> environment = [];
    private bool detach;
    private bool interactive;

    public override string Usage => "exec [options] CONTAINER COMMAND [ARGUMENT...]";

    public override string Completes => "container";

    public override void Define(FlagSet flags)
    {
        flags.Interspersed = false;
        flags.Switch("interactive", 'i', "keep standard input open", v => interactive = v)
            .Switch("tty", 't', "give it a terminal", v => request.Tty = v)
            .Switch("detach", 'd', "do not wait", v => detach = v)
            .Switch("privileged", null, "full access to the host", v => request.Privileged = v)
            .Value("env", 'e', "name[=value]", "set an environment variable", v => environment.Add(EnvironmentFile.Expand(v)))
            .Value("env-file", null, "file", "read environment variables from a file", v => environment.AddRange(EnvironmentFile.Read(v)))
            .Value("user", 'u', "user[:group]", "user name or id", v => request.User = v)
            .Value("workdir", 'w', "directory", "working directory inside", v => request.WorkingDir = v)
            .Value("detach-keys", null, "keys", "keys that detach (ctrl-p,ctrl-q)", v => request.DetachKeys = v);
    }

    public override int Run(Invocation call)
    {
        var container = call.Argument(0, "CONTAINER");
        call.Argument(1, "COMMAND");
        request.Cmd = [.. call.Arguments.Skip(1)];
        request.Env = environment.Count > 0 ? environment : null;
        request.AttachStdin = interactive && !detach;
        request.AttachStdout = request.AttachStderr = !detach;
        request.Detach = detach;
        if (request.Tty && interactive && !TerminalMode.IsInputTerminal)
            throw HullException.Invalid("the input device is not a TTY: leave -t out, or run hull on a terminal");
        var created = call.Engine.Post($"/containers/{Uri.EscapeDataString(container)}/exec", request, DockerJson.Wire.ExecCreateRequest, DockerJson.Wire.IdAnswer);
        return Start(call, "/exec/" + created.Id);
    }

    private int Start(Invocation call, string exec)
    {
        var (columns, rows) = request.Tty ? TerminalMode.Size() : (0, 0);
        var body = new ExecStartBody { Detach = detach, Tty = request.Tty, ConsoleSize = columns > 0 ? [rows, columns] : null };
        var json = JsonSerializer.SerializeToUtf8Bytes(body, DockerJson.Wire.ExecStartBody);
        if (detach)
        {
            call.Engine.Call("POST", exec + "/start", json);
            return 0;
        }

        using (var session = new StreamSession(call, call.Engine.Hijack(exec + "/start", json)))
        {
            if (request.Tty && TerminalMode.IsInputTerminal) session.UseTerminal(exec + "/resize");
            if (interactive) session.ForwardInput();
            session.CopyOutput(framed: !request.Tty);
        }

        return call.Engine.Get(exec + "/json", DockerJson.Wire.ExecInspect).ExitCode ?? 0;
    }
}
