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
/// <c>POST /hull/v1/run</c>: create, attach, start and wait in one round trip. Where Docker's clients need five
/// requests over two connections, a command's whole life is one: the output comes in frames, the exit code in the
/// last of them. Failures before user code runs are answers of their own and leave nothing behind.
/// </summary>
internal sealed class RunEndpoint(ApiServices services)
{
    public void Map(Router router) => router.Post("hull/v1/run", RunAsync);

    private async Task RunAsync(ApiRequest request)
    {
        var body = await request.ReadJsonAsync(DockerJson.Wire.ContainerCreateRequest).ConfigureAwait(false);
        var streams = Streams(request.Query("attach"));
        var platform = request.Query("platform") is { Length: > 0 } text ? Platform.Parse(text) : null;
        if (body.Image is { Length: > 0 } image && services.Images.Find(image, platform) is null)
            throw HullException.NotFound($"No such image: {image}");
        var config = CreateMapping.ToWorkload(body, request.Query("name"), request.Query("platform"));
        var created = await services.Engine.Workloads.CreateAsync(config, request.Disconnected).ConfigureAwait(false);
        await using var run = await StartAsync(request, created, config, streams).ConfigureAwait(false);
        await using var connection = await request.HijackAsync(StreamFraming.MultiplexedType, ("Hull-Workload", created.Id)).ConfigureAwait(false);
        foreach (var warning in created.Warnings)
            await connection.WriteAsync(StreamFraming.Frame(StreamFraming.EngineError, Encoding.UTF8.GetBytes($"WARNING: {warning}\n")), CancellationToken.None).ConfigureAwait(false);
        var left = await StreamPump.RunAsync(connection, run.Attachment, framed: true, streams.HasFlag(StreamSelection.Input)).ConfigureAwait(false);
        if (left || !await HasEndedAsync(created.Id, run.Wait).ConfigureAwait(false)) return;
        await WriteExitAsync(connection, run.Wait).ConfigureAwait(false);
    }

    private async Task<StartedRun> StartAsync(ApiRequest request, CreateResult created, WorkloadConfig config, StreamSelection streams)
    {
        IAttachment? attachment = null;
        WaitRegistration? wait = null;
        try
        {
            var attach = new AttachRequest(streams, Stream: true, DetachKeys: request.Query("detachKeys") is { Length: > 0 } keys ? keys : null);
            attachment = await services.Engine.Workloads.AttachAsync(created.Id, attach, CancellationToken.None).ConfigureAwait(false);
            wait = services.Engine.Workloads.Wait(created.Id, config.AutoRemove ? WaitCondition.Removed : WaitCondition.NextExit);
            await services.Engine.Workloads.StartAsync(created.Id, CancellationToken.None).ConfigureAwait(false);
            return new StartedRun(attachment, wait);
        }
        catch
        {
            wait?.Dispose();
            if (attachment is not null) await attachment.DisposeAsync().ConfigureAwait(false);
            if (config.AutoRemove) await RemoveQuietlyAsync(created.Id).ConfigureAwait(false);
            throw;
        }
    }

    private async Task RemoveQuietlyAsync(string id)
    {
        try
        {
            await services.Engine.Workloads.RemoveAsync(id, new RemoveRequest(Force: true, Volumes: true), CancellationToken.None).ConfigureAwait(false);
        }
        catch (HullException)
        {
            // The engine removes it itself after a failed start, and may have been faster.
        }
    }

    /// <summary>Output ends when the process does, and also when the user detaches: then it still runs.</summary>
    private async Task<bool> HasEndedAsync(string id, WaitRegistration wait)
    {
        if (wait.Completion.IsCompleted) return true;
        try
        {
            var workload = await services.Engine.Workloads.InspectAsync(id, false, CancellationToken.None).ConfigureAwait(false);
            if (!workload.State.IsRunning) return true;
            // The exit may be a moment behind the end of the output.
            await Task.WhenAny(wait.Completion, Task.Delay(TimeSpan.FromMilliseconds(500))).ConfigureAwait(false);
            return wait.Completion.IsCompleted;
        }
        catch (HullException e) when (e.Kind == ErrorKind.NotFound)
        {
            return true;
        }
    }

    private static async Task WriteExitAsync(HijackedConnection connection, WaitRegistration wait)
    {
        var result = await wait.Completion.ConfigureAwait(false);
        if (result.Error is { Length: > 0 } error)
            await connection.WriteAsync(StreamFraming.Frame(StreamFraming.EngineError, Encoding.UTF8.GetBytes(error + "\n")), CancellationToken.None).ConfigureAwait(false);
        await connection.WriteAsync(StreamFraming.ExitFrame(result.ExitCode), CancellationToken.None).ConfigureAwait(false);
    }

    private static StreamSelection Streams(string? names)
    {
        var streams = StreamSelection.None;
        foreach (var name in (names ?? "stdout,stderr").Split(',', StringSplitOptions.RemoveEmptyEntries))
        {
            streams |= name switch
            {
                "stdin" => StreamSelection.Input,
                "stdout" => StreamSelection.Output,
                "stderr" => StreamSelection.Error,
                _ => throw HullException.Invalid($"invalid stream '{name}': expected stdin, stdout or stderr"),
            };
        }

        return streams;
    }

    private sealed record StartedRun(IAttachment Attachment, WaitRegistration Wait) : IAsyncDisposable
    {
        public ValueTask DisposeAsync()
        {
            Wait.Dispose();
            return Attachment.DisposeAsync();
        }
    }
}
