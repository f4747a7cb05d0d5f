using System.Text;
using Hull.Api.Docker;
using Hull.Api.Docker.Containers;
using Hull.Api.Http;
using Hull.Core;
using Hull.Engine.Drivers;
using Hull.Engine.Workloads;
using Hull.Protocol;

namespace Hull.Api.Native;

/// <summary>
/// <c>POST /hull/v1/exec?container=…</c>: a further process from its start to its exit code in one round trip, where
/// Docker's clients make three requests. The body is that of Docker's exec; output comes in frames as with
/// <see cref="RunEndpoint"/>, and so does the reason why a command could not be started.
/// </summary>
internal sealed class ExecEndpoint(ApiServices services)
{
    public void Map(Router router) => router.Post("hull/v1/exec", ExecAsync);

    private async Task ExecAsync(ApiRequest request)
    {
        var body = await request.ReadJsonAsync(DockerJson.Wire.ExecCreateRequest).ConfigureAwait(false);
        var container = (request.Values.GetValueOrDefault("container") ?? request.Query("container")) is { Length: > 0 } name ? name : throw HullException.Invalid("no container given: name one in the query");
        var config = ExecEndpoints.ToConfig(body);
        var execs = services.Engine.Execs;
        var id = await execs.CreateAsync(container, config, request.Disconnected).ConfigureAwait(false);
        var start = new ExecStartRequest(false, body.ConsoleSize is [_, var columns] ? columns : 0, body.ConsoleSize is [var rows, _] ? rows : 0);
        await using var connection = await request.HijackAsync(StreamFraming.MultiplexedType, ("Hull-Exec", id)).ConfigureAwait(false);
        try
        {
            await using var attachment = await execs.StartAsync(id, start, CancellationToken.None).ConfigureAwait(false);
            if (attachment is not null
                && await StreamPump.RunAsync(connection, attachment, framed: true, config.Attach.HasFlag(StreamSelection.Input)).ConfigureAwait(false)) return;
        }
        catch (HullException e)
        {
            var message = Encoding.UTF8.GetBytes(ErrorAnswers.Message(e) + "\n");
            await connection.WriteAsync(StreamFraming.Frame(StreamFraming.EngineError, message), CancellationToken.None).ConfigureAwait(false);
        }

        // Without an exit code the user detached, and the process runs on.
        if (execs.Inspect(id).ExitCode is { } code) await connection.WriteAsync(StreamFraming.ExitFrame(code), CancellationToken.None).ConfigureAwait(false);
    }
}
