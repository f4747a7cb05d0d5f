using System.Text;
using Hull.Api.Http;
using Hull.Core;
using Hull.Engine;
using Hull.Engine.Drivers;
using Hull.Engine.Workloads;
using Hull.Protocol;

namespace Hull.Api.Docker.Containers;

/// <summary>Further processes in running containers.</summary>
internal sealed class ExecEndpoints(IHullEngine engine)
{
    public void Map(Router router) => router
        .Post("containers/{id}/exec", CreateAsync)
        .Post("exec/{id}/start", StartAsync)
        .Post("exec/{id}/resize", ResizeAsync)
        .Get("exec/{id}/json", InspectAsync);

    public static ExecConfig ToConfig(ExecCreateRequest body) => new()
    {
        Command = body.Cmd is { Count: > 0 } command ? command : throw HullException.Invalid("No exec command specified"),
        Environment = body.Env ?? [],
        WorkingDirectory = CreateMapping.NullIfEmpty(body.WorkingDir),
        User = CreateMapping.NullIfEmpty(body.User),
        Privileged = body.Privileged,
        Terminal = body.Tty,
        Attach = (body.AttachStdin ? StreamSelection.Input : 0)
            | (body.AttachStdout ? StreamSelection.Output : 0) | (body.AttachStderr ? StreamSelection.Error : 0),
        DetachKeys = CreateMapping.NullIfEmpty(body.DetachKeys),
    };

    private async Task CreateAsync(ApiRequest request)
    {
        var body = await request.ReadJsonAsync(DockerJson.Wire.ExecCreateRequest).ConfigureAwait(false);
        var id = await engine.Execs.CreateAsync(request["id"], ToConfig(body), request.Disconnected).ConfigureAwait(false);
        await request.WriteJsonAsync(new IdAnswer { Id = id }, DockerJson.Wire.IdAnswer, 201).ConfigureAwait(false);
    }

    private async Task StartAsync(ApiRequest request)
    {
        var body = await request.ReadJsonAsync(DockerJson.Wire.ExecStartBody, new ExecStartBody()).ConfigureAwait(false);
        var exec = engine.Execs.Inspect(request["id"]);
        if (exec.Running || exec.ExitCode is not null) throw HullException.Conflict($"exec {exec.Id} has already run");
        var start = new ExecStartRequest(body.Detach,
            body.ConsoleSize is [_, var columns] ? columns : 0, body.ConsoleSize is [var rows, _] ? rows : 0);
        if (body.Detach || exec.Config.Attach == StreamSelection.None)
        {
            var detached = await engine.Execs.StartAsync(exec.Id, start with { Detach = true }, CancellationToken.None).ConfigureAwait(false);
            if (detached is not null) await detached.DisposeAsync().ConfigureAwait(false);
            request.Status(200);
            return;
        }

        var terminal = exec.Config.Terminal;
        await using var connection = await request.HijackAsync(StreamEndpoints.ContentType(request, terminal)).ConfigureAwait(false);
        try
        {
            await using var attachment = await engine.Execs.StartAsync(exec.Id, start, CancellationToken.None).ConfigureAwait(false);
            if (attachment is null) return;
            await StreamPump.RunAsync(connection, attachment, framed: !terminal, exec.Config.Attach.HasFlag(StreamSelection.Input)).ConfigureAwait(false);
        }
        catch (HullException e)
        {
            // The connection is a stream by now: clients show what comes and then ask for the exit code.
            var message = Encoding.UTF8.GetBytes(ErrorAnswers.Message(e) + "\r\n");
            await connection.WriteAsync(terminal ? message : StreamFraming.Frame(OutputStream.Error, message), CancellationToken.None).ConfigureAwait(false);
        }
    }

    private async Task ResizeAsync(ApiRequest request)
    {
        var (columns, rows) = ContainerEndpoints.TerminalSize(request);
        await engine.Execs.ResizeAsync(request["id"], columns, rows, request.Disconnected).ConfigureAwait(false);
        request.Status(200);
    }

    private Task InspectAsync(ApiRequest request)
    {
        var exec = engine.Execs.Inspect(request["id"]);
        var answer = new ExecInspect
        {
            ID = exec.Id,
            Running = exec.Running,
            ExitCode = exec.ExitCode,
            ProcessConfig = new ExecProcess
            {
                Tty = exec.Config.Terminal,
                Entrypoint = exec.Config.Command[0],
                Arguments = [.. exec.Config.Command.Skip(1)],
                Privileged = exec.Config.Privileged,
                User = exec.Config.User,
            },
            OpenStdin = exec.Config.Attach.HasFlag(StreamSelection.Input),
            OpenStdout = exec.Config.Attach.HasFlag(StreamSelection.Output),
            OpenStderr = exec.Config.Attach.HasFlag(StreamSelection.Error),
            CanRemove = exec.ExitCode is not null,
            ContainerID = exec.WorkloadId,
            DetachKeys = exec.Config.DetachKeys ?? "",
            Pid = exec.ProcessId,
        };
        return request.WriteJsonAsync(answer, DockerJson.Wire.ExecInspect);
    }
}
