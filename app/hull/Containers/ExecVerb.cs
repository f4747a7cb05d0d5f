using System.Text.Json;
using Hull.Cli.Verbs;
using Hull.Core;
using Hull.Core.CommandLine;
using Hull.Protocol;

namespace Hull.Cli.Containers;

/// <summary><c>hull exec</c>: one round trip from the start to the exit code.</summary>
internal sealed class ExecVerb : Verb, ICommandRunner
{
    private readonly ExecCreateRequest request = new();
    private readonly List<string> environment = [];
    private bool detach;
    private bool interactive;

    public override string Usage => "exec [options] CONTAINER COMMAND [ARGUMENT...]";

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
        return detach ? StartDetached(call, container) : RunAttached(call, container);
    }

    private int StartDetached(Invocation call, string container)
    {
        var created = call.Engine.Post($"/containers/{Uri.EscapeDataString(container)}/exec", request, DockerJson.Wire.ExecCreateRequest, DockerJson.Wire.IdAnswer);
        var body = new ExecStartBody { Detach = true, Tty = request.Tty };
        call.Engine.Call("POST", $"/exec/{created.Id}/start", JsonSerializer.SerializeToUtf8Bytes(body, DockerJson.Wire.ExecStartBody));
        return 0;
    }

    private int RunAttached(Invocation call, string container)
    {
        var (columns, rows) = request.Tty ? TerminalMode.Size() : (0, 0);
        if (columns > 0) request.ConsoleSize = [rows, columns];
        var json = RequestJson.Write(request);
        var stream = call.Engine.Hijack("/hull/v1/exec?container=" + Uri.EscapeDataString(container), json, raw: true);
        using var session = new StreamSession(call, stream);
        if (request.Tty && TerminalMode.IsInputTerminal) session.UseTerminal($"/exec/{stream.Header("Hull-Exec")}/resize");
        if (interactive) session.ForwardInput();
        session.CopyOutput(framed: true);
        // Without an exit code the user detached, and the process runs on.
        return session.ExitCode ?? 0;
    }
}
