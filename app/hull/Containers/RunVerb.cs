using System.Text;
using Hull.Cli.Verbs;
using Hull.Client;
using Hull.Core;
using Hull.Core.CommandLine;
using Hull.Protocol;

namespace Hull.Cli.Containers;

/// <summary><c>hull run</c>: one round trip makes, connects, starts and awaits a container.</summary>
internal sealed class RunVerb : Verb, ICommandRunner
{
    private readonly CreateFlags create = new();
    private bool detach;
    private bool proxySignals = true;
    private string? detachKeys;

    public override string Usage => "run [options] IMAGE [COMMAND [ARGUMENT...]]";

    public override void Define(FlagSet flags)
    {
        create.Define(flags);
        flags.Switch("detach", 'd', "do not wait: print the id and return", v => detach = v)
            .Switch("sig-proxy", null, "pass signals on to the process (default)", v => proxySignals = v)
            .Value("detach-keys", null, "keys", "keys that detach (ctrl-p,ctrl-q)", v => detachKeys = v);
    }

    public override int Run(Invocation call)
    {
        var image = call.Argument(0, "IMAGE");
        var request = create.Build(image, [.. call.Arguments.Skip(1)]);
        if (create.IdFile is { } file && File.Exists(file)) throw HullException.Exists($"{file} exists: remove it or name another file");
        if (create.Pull == "always") Pulling.Pull(call, image, create.Platform, create.Quiet);
        if (detach) return RunDetached(call, request);
        var attach = Attachments();
        request.AttachStdin = attach.Contains("stdin", StringComparison.Ordinal);
        request.AttachStdout = attach.Contains("stdout", StringComparison.Ordinal);
        request.AttachStderr = attach.Contains("stderr", StringComparison.Ordinal);
        if (create.Terminal && !TerminalMode.IsInputTerminal && create.Interactive && request.AttachStdin)
            throw HullException.Invalid("the input device is not a TTY: leave -t out, or run hull on a terminal");
        var (columns, rows) = create.Terminal ? TerminalMode.Size() : (0, 0);
        if (columns > 0) request.HostConfig!.ConsoleSize = [rows, columns];
        return RunAttached(call, request, attach);
    }

    private int RunAttached(Invocation call, ContainerCreateRequest request, string attach)
    {
        var path = "/hull/v1/run?attach=" + attach + Query();
        var body = RequestJson.Write(request);
        var stream = WithPull(call, request.Image!, () =>
        {
            using var notice = StartNotice.For(call, request.HostConfig, create.Quiet);
            return call.Engine.Hijack(path, body, raw: true);
        });
        using var session = new StreamSession(call, stream);
        var id = stream.Header("Hull-Workload") ?? throw HullException.Internal("the engine did not say what it made");
        WriteIdFile(id);
        var container = "/containers/" + id;
        if (create.Terminal && TerminalMode.IsInputTerminal) session.UseTerminal(container + "/resize");
        else if (proxySignals) session.ForwardSignals(container + "/kill");
        if (request.AttachStdin) session.ForwardInput();
        session.CopyOutput(framed: true);
        // Without an exit code the user detached, and the container runs on.
        return session.ExitCode ?? 0;
    }

    private int RunDetached(Invocation call, ContainerCreateRequest request)
    {
        var id = CreateVerb.Create(call, create, request);
        WriteIdFile(id);
        try
        {
            using var notice = StartNotice.For(call, request.HostConfig, create.Quiet);
            call.Engine.Call("POST", $"/containers/{id}/start");
        }
        catch (HullException) when (create.Remove)
        {
            call.Engine.Call("DELETE", $"/containers/{id}?force=1&v=1");
            throw;
        }

        call.Output.WriteLine(id);
        return 0;
    }

    /// <summary>Does what needs the image; where that is missing, fetches it and does it again.</summary>
    private T WithPull<T>(Invocation call, string image, Func<T> action)
    {
        try
        {
            return action();
        }
        catch (HullException e) when (Pulling.IsMissingImage(e) && create.Pull != "never")
        {
            Pulling.Pull(call, image, create.Platform, create.Quiet);
            return action();
        }
    }

    private string Attachments()
    {
        if (create.Attach.Count == 0) return create.Interactive ? "stdin,stdout,stderr" : "stdout,stderr";
        foreach (var name in create.Attach)
        {
            if (name is not ("stdin" or "stdout" or "stderr")) throw HullException.Invalid($"invalid value '{name}' for --attach: expected stdin, stdout or stderr");
        }

        return string.Join(',', create.Attach);
    }

    private string Query()
    {
        var query = new StringBuilder();
        if (create.Name is { } name) query.Append("&name=").Append(Uri.EscapeDataString(name));
        if (create.Platform is { } platform) query.Append("&platform=").Append(Uri.EscapeDataString(platform));
        if (detachKeys is not null) query.Append("&detachKeys=").Append(Uri.EscapeDataString(detachKeys));
        return query.ToString();
    }

    private void WriteIdFile(string id)
    {
        if (create.IdFile is not { } path) return;
        using var file = new FileStream(path, FileMode.CreateNew, FileAccess.Write);
        file.Write(Encoding.ASCII.GetBytes(id));
    }
}
