using System.Text.Json;
using Hull.Api.Http;
using Hull.Core;
using Hull.Engine;
using Hull.Engine.Workloads;
using Hull.Protocol;

namespace Hull.Api.Docker.Containers;

/// <summary>Files in and out of containers, and images out of them.</summary>
internal sealed class ArchiveEndpoints(IHullEngine engine)
{
    private const string StatHeader = "X-Docker-Container-Path-Stat";

    public void Map(Router router) => router
        .Head("containers/{id}/archive", StatAsync)
        .Get("containers/{id}/archive", ReadAsync)
        .Put("containers/{id}/archive", WriteAsync)
        .Get("containers/{id}/export", ExportAsync)
        .Post("commit", CommitAsync);

    private async Task StatAsync(ApiRequest request)
    {
        var stat = await engine.Workloads.StatPathAsync(request["id"], PathOf(request), request.Disconnected).ConfigureAwait(false);
        request.Response.Headers[StatHeader] = Encode(stat);
        request.Status(200);
    }

    private Task ReadAsync(ApiRequest request) => engine.Workloads.ReadArchiveAsync(request["id"], PathOf(request), async (stat, _) =>
    {
        request.Response.Headers[StatHeader] = Encode(stat);
        await request.StartStreamAsync("application/x-tar").ConfigureAwait(false);
        return request.Response.Body;
    }, request.Disconnected);

    private async Task WriteAsync(ApiRequest request)
    {
        var put = new ArchivePutRequest(PathOf(request), request.Flag("noOverwriteDirNonDir"), request.Flag("copyUIDGID"));
        await engine.Workloads.WriteArchiveAsync(request["id"], put, request.Body, request.Disconnected).ConfigureAwait(false);
        request.Status(200);
    }

    private async Task ExportAsync(ApiRequest request)
    {
        await engine.Workloads.InspectAsync(request["id"], false, request.Disconnected).ConfigureAwait(false);
        request.Response.ContentType = "application/x-tar";
        await engine.Workloads.ExportAsync(request["id"], request.Response.Body, request.Disconnected).ConfigureAwait(false);
    }

    private async Task CommitAsync(ApiRequest request)
    {
        var container = request.Query("container") is { Length: > 0 } given ? given : throw HullException.Invalid("the parameter container is missing");
        var config = await request.ReadJsonAsync(DockerJson.Wire.ContainerConfig, new ContainerConfig()).ConfigureAwait(false);
        var id = await engine.Workloads.CommitAsync(container, ToCommit(request, config), CancellationToken.None).ConfigureAwait(false);
        await request.WriteJsonAsync(new IdAnswer { Id = id }, DockerJson.Wire.IdAnswer, 201).ConfigureAwait(false);
    }

    private static CommitRequest ToCommit(ApiRequest request, ContainerConfig config)
    {
        var repository = request.Query("repo");
        var tag = request.Query("tag");
        return new CommitRequest
        {
            Reference = string.IsNullOrEmpty(repository) ? null : string.IsNullOrEmpty(tag) ? repository : repository + ":" + tag,
            Comment = request.Query("comment") ?? "",
            Author = request.Query("author") ?? "",
            Pause = request.Flag("pause", absent: true),
            // Either repeated, or one after the other in lines, as old clients send them.
            Changes = [.. request.QueryAll("changes").SelectMany(c => c.Split('\n', StringSplitOptions.RemoveEmptyEntries))],
            Process = HasProcess(config) ? new ProcessConfig
            {
                Entrypoint = config.Entrypoint,
                Command = config.Cmd,
                Environment = config.Env ?? [],
                WorkingDirectory = CreateMapping.NullIfEmpty(config.WorkingDir),
                User = CreateMapping.NullIfEmpty(config.User),
                StopSignal = CreateMapping.NullIfEmpty(config.StopSignal),
            } : null,
            Labels = config.Labels,
            ExposedPorts = config.ExposedPorts is { Count: > 0 } ports ? [.. ports] : null,
        };
    }

    private static bool HasProcess(ContainerConfig config) => config.Entrypoint is not null || config.Cmd is not null
        || config.Env is { Count: > 0 } || !string.IsNullOrEmpty(config.WorkingDir) || !string.IsNullOrEmpty(config.User);

    private static string PathOf(ApiRequest request) => request.Query("path") is { Length: > 0 } path
        ? path
        : throw HullException.Invalid("the parameter path is missing");

    private static string Encode(PathStat stat) => Convert.ToBase64String(JsonSerializer.SerializeToUtf8Bytes(new PathStatInfo
    {
        Name = stat.Name,
        Size = stat.Size,
        Mode = FileModes.ToGo(stat.Mode),
        Mtime = Timestamps.Format(stat.ModifiedAt),
        LinkTarget = stat.LinkTarget,
    }, DockerJson.Wire.PathStatInfo));
}
