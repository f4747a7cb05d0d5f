using Hull.Cli.Verbs;
using Hull.Core;
using Hull.Core.CommandLine;
using Hull.Protocol;

namespace Hull.Cli.Containers;

/// <summary>Verbs that do one thing to each container that is named.</summary>
internal sealed class EachVerb(string name, Func<string, string> path, string method = "POST") : Verb
{
    public override string Usage => $"{name} CONTAINER...";

    public override int Run(Invocation call) => call.ForEach(container => call.Engine.Call(method, path(Uri.EscapeDataString(container))));
}

/// <summary><c>hull stop</c> and <c>hull restart</c>.</summary>
internal sealed class StopVerb(string name) : Verb
{
    private long? timeout;
    private string? signal;

    public override string Usage => $"{name} [options] CONTAINER...";

    public override void Define(FlagSet flags) => flags
        .Number("time", 't', "seconds before it is killed, -1 to wait for ever", v => timeout = v)
        .Add(new Flag("timeout", null, "seconds", "as --time", v => timeout = long.TryParse(v, out var n) ? n : throw HullException.Invalid($"invalid timeout '{v}'")) { Hidden = true })
        .Value("signal", 's', "signal", "signal that asks it to end", v => signal = v);

    public override int Run(Invocation call) => call.ForEach(container =>
    {
        using var notice = name == "restart" ? StartNotice.For(call, container) : null;
        call.Engine.Call("POST",
            $"/containers/{Uri.EscapeDataString(container)}/{name}?{(timeout is null ? "" : $"t={timeout}&")}{(signal is null ? "" : "signal=" + Uri.EscapeDataString(signal))}");
    });
}

/// <summary><c>hull kill</c>.</summary>
internal sealed class KillVerb : Verb
{
    private string signal = "KILL";

    public override string Usage => "kill [options] CONTAINER...";

    public override void Define(FlagSet flags) => flags.Value("signal", 's', "signal", "signal to send (KILL)", v => signal = v);

    public override int Run(Invocation call) => call.ForEach(container =>
        call.Engine.Call("POST", $"/containers/{Uri.EscapeDataString(container)}/kill?signal={Uri.EscapeDataString(signal)}"));
}

/// <summary><c>hull rm</c>.</summary>
internal sealed class RemoveVerb : Verb
{
    private bool force;
    private bool volumes;
    private bool link;

    public override string Usage => "rm [options] CONTAINER...";

    public override void Define(FlagSet flags) => flags
        .Switch("force", 'f', "kill it if it runs", v => force = v)
        .Switch("volumes", 'v', "remove its anonymous volumes too", v => volumes = v)
        .Switch("link", 'l', "remove the link alone", v => link = v);

    public override int Run(Invocation call) => call.ForEach(container =>
    {
        try
        {
            call.Engine.Call("DELETE", $"/containers/{Uri.EscapeDataString(container)}?force={(force ? 1 : 0)}&v={(volumes ? 1 : 0)}&link={(link ? 1 : 0)}");
        }
        catch (HullException e) when (e.Kind == ErrorKind.NotFound && force)
        {
            // It is gone, which is what was asked for.
        }
    });
}

/// <summary><c>hull start</c>.</summary>
internal sealed class StartVerb : Verb, ICommandRunner
{
    private bool attach;
    private bool interactive;

    public override string Usage => "start [options] CONTAINER...";

    public override void Define(FlagSet flags) => flags
        .Switch("attach", 'a', "show its output and wait", v => attach = v)
        .Switch("interactive", 'i', "send it standard input", v => interactive = v);

    public override int Run(Invocation call)
    {
        if (!attach && !interactive) return call.ForEach(container => Start(call, container));
        call.Expect(1, 1);
        return Attaching.Run(call, call.Arguments[0], interactive, output: true, start: true, signals: true, detachKeys: null);
    }

    /// <summary>Starts what exists, and says what that waits for.</summary>
    public static void Start(Invocation call, string container)
    {
        using var notice = StartNotice.For(call, container);
        call.Engine.Call("POST", $"/containers/{Uri.EscapeDataString(container)}/start");
    }
}

/// <summary><c>hull attach</c>.</summary>
internal sealed class AttachVerb : Verb, ICommandRunner
{
    private bool noInput;
    private bool signals = true;
    private string? detachKeys;

    public override string Usage => "attach [options] CONTAINER";

    public override void Define(FlagSet flags) => flags
        .Switch("no-stdin", null, "do not send standard input", v => noInput = v)
        .Switch("sig-proxy", null, "pass signals on (default)", v => signals = v)
        .Value("detach-keys", null, "keys", "keys that detach (ctrl-p,ctrl-q)", v => detachKeys = v);

    public override int Run(Invocation call)
    {
        call.Expect(1, 1);
        return Attaching.Run(call, call.Arguments[0], !noInput, output: true, start: false, signals, detachKeys);
    }
}

/// <summary>Connects the terminal to a container that exists.</summary>
internal static class Attaching
{
    public static int Run(Invocation call, string container, bool input, bool output, bool start, bool signals, string? detachKeys)
    {
        var found = call.Engine.Get($"/containers/{Uri.EscapeDataString(container)}/json", DockerJson.Wire.ContainerInspect);
        if (!start && !found.State.Running) throw HullException.Conflict($"container {container} does not run: start it with hull start -a {container}");
        if (!start && found.State.Paused) throw HullException.Conflict($"container {container} is paused: hull unpause {container} first");
        var path = "/containers/" + found.Id;
        var send = input && found.Config.OpenStdin;
        var query = $"/attach?stream=1&stdout={(output ? 1 : 0)}&stderr={(output ? 1 : 0)}&stdin={(send ? 1 : 0)}"
            + (detachKeys is null ? "" : "&detachKeys=" + Uri.EscapeDataString(detachKeys));
        using (var session = new StreamSession(call, call.Engine.Hijack(path + query)))
        {
            if (start) StartVerb.Start(call, found.Id);
            if (found.Config.Tty && TerminalMode.IsInputTerminal) session.UseTerminal(path + "/resize");
            else if (signals) session.ForwardSignals(path + "/kill");
            if (send) session.ForwardInput();
            session.CopyOutput(framed: !found.Config.Tty);
        }

        return ExitCode(call, path);
    }

    /// <summary>The exit code, or 0 where the user detached and it runs on, or where it is gone.</summary>
    private static int ExitCode(Invocation call, string path)
    {
        try
        {
            var state = call.Engine.Get(path + "/json", DockerJson.Wire.ContainerInspect).State;
            return state.Running ? 0 : state.ExitCode;
        }
        catch (HullException e) when (e.Kind == ErrorKind.NotFound)
        {
            return 0;
        }
    }
}

/// <summary><c>hull wait</c>.</summary>
internal sealed class WaitVerb : Verb
{
    private string condition = "not-running";

    public override string Usage => "wait [options] CONTAINER...";

    public override void Define(FlagSet flags) => flags.Value("condition", null, "condition", "not-running (default), next-exit or removed", v => condition = v);

    public override int Run(Invocation call) => call.ForEach(container =>
    {
        using var answer = call.Engine.Send("POST", $"/containers/{Uri.EscapeDataString(container)}/wait?condition={Uri.EscapeDataString(condition)}");
        var result = System.Text.Json.JsonSerializer.Deserialize(answer.Content, DockerJson.Wire.ContainerWaitAnswer)!;
        if (result.Error is { } error) throw HullException.Internal(error.Message);
        call.Output.WriteLine(result.StatusCode);
    }, print: false);
}

/// <summary><c>hull rename</c>.</summary>
internal sealed class RenameVerb : Verb
{
    public override string Usage => "rename CONTAINER NAME";

    public override int Run(Invocation call)
    {
        call.Expect(2, 2);
        call.Engine.Call("POST", $"/containers/{Uri.EscapeDataString(call.Arguments[0])}/rename?name={Uri.EscapeDataString(call.Arguments[1])}");
        return 0;
    }
}
