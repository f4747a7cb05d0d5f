using Hull.Api.Http;
using Hull.Core;
using Hull.Engine;
using Hull.Engine.Workloads;
using Hull.Images;
using Hull.Protocol;

namespace Hull.Api.Docker.Containers;

/// <summary>Containers: making, listing, changing and ending them.</summary>
internal sealed class ContainerEndpoints(IHullEngine engine, IImageService images, TimeProvider clock, OutputsUnderWay outputs)
{
    public void Map(Router router) => router
        .Get("containers/json", ListAsync)
        .Post("containers/create", CreateAsync)
        .Post("containers/prune", PruneAsync)
        .Get("containers/{id}/json", InspectAsync)
        .Get("containers/{id}/top", TopAsync)
        .Get("containers/{id}/changes", ChangesAsync)
        .Get("containers/{id}/stats", StatsAsync)
        .Post("containers/{id}/start", StartAsync)
        .Post("containers/{id}/stop", StopAsync)
        .Post("containers/{id}/restart", RestartAsync)
        .Post("containers/{id}/kill", KillAsync)
        .Post("containers/{id}/pause", request => Empty(request, engine.Workloads.PauseAsync(request["id"], request.Disconnected)))
        .Post("containers/{id}/unpause", request => Empty(request, engine.Workloads.UnpauseAsync(request["id"], request.Disconnected)))
        .Post("containers/{id}/rename", RenameAsync)
        .Post("containers/{id}/update", UpdateAsync)
        .Post("containers/{id}/resize", ResizeAsync)
        .Post("containers/{id}/wait", WaitAsync, changes: false)
        .Delete("containers/{id}", RemoveAsync);

    private async Task ListAsync(ApiRequest request)
    {
        var filter = WorkloadFilters.Parse(request.Filters(), request.Flag("all"), (int)(request.Number("limit") ?? 0),
            request.Query("since"), request.Query("before"));
        var workloads = await engine.Workloads.ListAsync(filter, request.Flag("size"), request.Disconnected).ConfigureAwait(false);
        var now = clock.GetUtcNow();
        List<ContainerSummary> rows = [.. workloads.Select(w => SummaryMapping.ToSummary(w, now))];
        await request.WriteJsonAsync(rows, DockerJson.Wire.ListContainerSummary).ConfigureAwait(false);
    }

    private async Task CreateAsync(ApiRequest request)
    {
        var body = await request.ReadJsonAsync(DockerJson.Wire.ContainerCreateRequest).ConfigureAwait(false);
        // Clients tell a missing image from other failures by these words, and then pull it.
        var platform = request.Query("platform") is { Length: > 0 } text ? Platform.Parse(text) : null;
        if (body.Image is { Length: > 0 } image && images.Find(image, platform) is null)
            throw HullException.NotFound($"No such image: {image}");
        var config = CreateMapping.ToWorkload(body, request.Query("name"), request.Query("platform"));
        var result = await engine.Workloads.CreateAsync(config, request.Disconnected).ConfigureAwait(false);
        var answer = new ContainerCreateAnswer { Id = result.Id, Warnings = result.Warnings };
        await request.WriteJsonAsync(answer, DockerJson.Wire.ContainerCreateAnswer, 201).ConfigureAwait(false);
    }

    private async Task InspectAsync(ApiRequest request)
    {
        var workload = await engine.Workloads.InspectAsync(request["id"], request.Flag("size"), request.Disconnected).ConfigureAwait(false);
        await request.WriteJsonAsync(InspectMapping.ToInspect(workload, engine.Options), DockerJson.Wire.ContainerInspect).ConfigureAwait(false);
    }

    private async Task TopAsync(ApiRequest request)
    {
        var arguments = request.Query("ps_args") is { Length: > 0 } given ? given : "-ef";
        var table = await engine.Workloads.TopAsync(request["id"], arguments, request.Disconnected).ConfigureAwait(false);
        var answer = new ContainerTopAnswer { Titles = table.Titles, Processes = table.Rows };
        await request.WriteJsonAsync(answer, DockerJson.Wire.ContainerTopAnswer).ConfigureAwait(false);
    }

    private async Task ChangesAsync(ApiRequest request)
    {
        var changes = await engine.Workloads.ChangesAsync(request["id"], request.Disconnected).ConfigureAwait(false);
        List<FilesystemChange> rows = [.. changes.Select(c => new FilesystemChange { Path = c.Path, Kind = (int)c.Kind })];
        await request.WriteJsonAsync(rows, DockerJson.Wire.ListFilesystemChange).ConfigureAwait(false);
    }

    private async Task StatsAsync(ApiRequest request)
    {
        var id = request["id"];
        if (!request.Flag("stream", absent: true))
        {
            var sample = await engine.Workloads.StatsAsync(id, withPrevious: !request.Flag("one-shot"), request.Disconnected).ConfigureAwait(false);
            await request.WriteJsonAsync(StatsMapping.ToStats(sample), DockerJson.Wire.ContainerStats).ConfigureAwait(false);
            return;
        }

        await engine.Workloads.InspectAsync(id, false, request.Disconnected).ConfigureAwait(false);
        await using var lines = new JsonLines(request);
        await lines.StartAsync().ConfigureAwait(false);
        await foreach (var sample in engine.Workloads.StatsStreamAsync(id, request.Disconnected).ConfigureAwait(false))
            await lines.WriteAsync(StatsMapping.ToStats(sample), DockerJson.Wire.ContainerStats).ConfigureAwait(false);
    }

    private async Task StartAsync(ApiRequest request)
    {
        await request.DrainAsync().ConfigureAwait(false);
        await Empty(request, engine.Workloads.StartAsync(request["id"], CancellationToken.None)).ConfigureAwait(false);
    }

    private Task StopAsync(ApiRequest request) =>
        // Who asked may leave; the container is stopped all the same.
        Empty(request, engine.Workloads.StopAsync(request["id"], StopRequestOf(request), CancellationToken.None));

    private Task RestartAsync(ApiRequest request) =>
        Empty(request, engine.Workloads.RestartAsync(request["id"], StopRequestOf(request), CancellationToken.None));

    private Task KillAsync(ApiRequest request) =>
        Empty(request, engine.Workloads.KillAsync(request["id"], CreateMapping.NullIfEmpty(request.Query("signal")), request.Disconnected));

    private Task RenameAsync(ApiRequest request)
    {
        var name = request.Query("name")?.TrimStart('/') is { Length: > 0 } given
            ? given
            : throw HullException.Invalid("Neither old nor new names may be empty");
        return Empty(request, engine.Workloads.RenameAsync(request["id"], name, request.Disconnected));
    }

    private async Task UpdateAsync(ApiRequest request)
    {
        var body = await request.ReadJsonAsync(DockerJson.Wire.ContainerUpdateRequest).ConfigureAwait(false);
        var warnings = await engine.Workloads.UpdateAsync(request["id"], UpdateMapping.ToUpdate(body), request.Disconnected).ConfigureAwait(false);
        await request.WriteJsonAsync(new ContainerUpdateAnswer { Warnings = warnings }, DockerJson.Wire.ContainerUpdateAnswer).ConfigureAwait(false);
    }

    private async Task ResizeAsync(ApiRequest request)
    {
        var (columns, rows) = TerminalSize(request);
        await engine.Workloads.ResizeAsync(request["id"], columns, rows, request.Disconnected).ConfigureAwait(false);
        request.Status(200);
    }

    internal static (int Columns, int Rows) TerminalSize(ApiRequest request)
    {
        var (rows, columns) = (request.Number("h") ?? 0, request.Number("w") ?? 0);
        return rows is >= 0 and <= 65535 && columns is >= 0 and <= 65535
            ? ((int)columns, (int)rows)
            : throw HullException.Invalid("invalid terminal size: h and w are at most 65535");
    }

    private async Task WaitAsync(ApiRequest request)
    {
        var condition = request.Query("condition") switch
        {
            null or "" or "not-running" => WaitCondition.NotRunning,
            "next-exit" => WaitCondition.NextExit,
            "removed" => WaitCondition.Removed,
            var other => throw HullException.Invalid($"invalid condition: \"{other}\""),
        };
        using var wait = engine.Workloads.Wait(request["id"], condition);
        // Clients start the container only once they have seen this header: from then on the wait misses nothing.
        await request.StartStreamAsync("application/json").ConfigureAwait(false);
        ContainerWaitAnswer answer;
        try
        {
            var result = await wait.Completion.WaitAsync(request.Disconnected).ConfigureAwait(false);
            await outputs.ArrivedAsync(wait.Workload).ConfigureAwait(false);
            answer = new ContainerWaitAnswer { StatusCode = result.ExitCode, Error = result.Error is null ? null : new WaitError { Message = result.Error } };
        }
        catch (HullException e)
        {
            answer = new ContainerWaitAnswer { StatusCode = -1, Error = new WaitError { Message = e.FullMessage } };
        }

        await using var lines = new JsonLines(request);
        await lines.WriteAsync(answer, DockerJson.Wire.ContainerWaitAnswer).ConfigureAwait(false);
    }

    private Task RemoveAsync(ApiRequest request) => Empty(request, engine.Workloads.RemoveAsync(request["id"],
        new RemoveRequest(request.Flag("force"), request.Flag("v"), request.Flag("link")), CancellationToken.None));

    private async Task PruneAsync(ApiRequest request)
    {
        var filter = WorkloadFilters.Prune(request.Filters(), clock.GetUtcNow());
        var result = await engine.Workloads.PruneAsync(filter, request.Disconnected).ConfigureAwait(false);
        var answer = new ContainersPruneAnswer { ContainersDeleted = result.Removed, SpaceReclaimed = result.SpaceReclaimed };
        await request.WriteJsonAsync(answer, DockerJson.Wire.ContainersPruneAnswer).ConfigureAwait(false);
    }

    private static StopRequest StopRequestOf(ApiRequest request)
    {
        var seconds = request.Number("t");
        return new StopRequest(CreateMapping.NullIfEmpty(request.Query("signal")), seconds is null ? null : (int)Math.Clamp(seconds.Value, -1, int.MaxValue));
    }

    private static async Task Empty(ApiRequest request, Task work)
    {
        await work.ConfigureAwait(false);
        request.Status(204);
    }
}
