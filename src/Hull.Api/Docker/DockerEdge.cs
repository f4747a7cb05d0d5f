using Hull.Api.Docker.Containers;
using Hull.Api.Docker.Host;
using Hull.Api.Docker.Images;
using Hull.Api.Docker.Networks;
using Hull.Api.Docker.Volumes;
using Hull.Api.Http;
using Hull.Core;

namespace Hull.Api.Docker;

/// <summary>
/// The Docker Engine API: finds what answers a request, holds callers to their scope, and turns failures into answers.
/// </summary>
public sealed class DockerEdge
{
    private readonly Router router = new();
    private readonly Action<string> log;
    private readonly AuditLog? audit;
    private readonly Authorization authorization;

    public DockerEdge(ApiServices services)
    {
        (log, audit) = (services.Log, services.Audit);
        authorization = new Authorization(services.Access, services.Engine);
        var outputs = new OutputsUnderWay();
        new SystemEndpoints(services).Map(router);
        new ContainerEndpoints(services.Engine, services.Images, services.Clock, outputs).Map(router);
        new StreamEndpoints(services.Engine, services.Clock, outputs).Map(router);
        new ExecEndpoints(services.Engine).Map(router);
        new ArchiveEndpoints(services.Engine).Map(router);
        new ImageEndpoints(services).Map(router);
        new TransferEndpoints(services).Map(router);
        new NetworkEndpoints(services.Engine, services.Clock).Map(router);
        new VolumeEndpoints(services.Engine, services.Clock).Map(router);
        new Native.VolumeContentEndpoints(services.Engine).Map(router);
        new Native.RunEndpoint(services).Map(router);
        new Native.ExecEndpoint(services).Map(router);
        new Native.SavedEndpoints(services).Map(router);
        new Native.GroupEndpoints(services).Map(router);
        new Native.DoctorEndpoint(services).Map(router);
        UnsupportedEndpoints.Map(router);
    }

    /// <summary>Where other edges on the same listeners add their paths.</summary>
    public Router Router => router;

    /// <summary>For a listener that serves metrics and nothing else.</summary>
    public Task HandleMetricsAsync(ApiRequest request)
    {
        if (request.Context.Request.Path.Value == "/metrics") return HandleAsync(request);
        request.Status(404);
        return Task.CompletedTask;
    }

    public async Task HandleAsync(ApiRequest request)
    {
        try
        {
            ErrorAnswers.Headers(request);
            await DispatchAsync(request).ConfigureAwait(false);
        }
        catch (HullException e) when (!request.HasStarted && !request.Hijacked)
        {
            await ErrorAnswers.WriteAsync(request, e).ConfigureAwait(false);
        }
        catch (IOException e) when (IsMalformed(e) && !request.HasStarted && !request.Hijacked && !request.Disconnected.IsCancellationRequested)
        {
            await ErrorAnswers.WriteAsync(request, HullException.Invalid("the request is not HTTP as RFC 9112 has it: " + e.Message)).ConfigureAwait(false);
        }
        catch (Exception e) when (IsDeparture(e, request))
        {
            // The client left. There is nobody to answer.
        }
        catch (Exception e) when (!request.HasStarted && !request.Hijacked)
        {
            log($"error: {request.Method} /{request.Path}: {e}");
            await ErrorAnswers.WriteAsync(request, HullException.Internal($"the engine failed: {e.GetType().Name}: {e.Message}".ReplaceLineEndings(" "))).ConfigureAwait(false);
        }
        catch (Exception e)
        {
            // In the middle of a stream: breaking it off is the only way left to say that it is not whole.
            log($"error: {request.Method} /{request.Path}: {(e is HullException known ? known.FullMessage : e.ToString())}");
            if (!request.Hijacked) request.Context.Abort();
        }
        finally
        {
            request.Release();
        }
    }

    private async Task DispatchAsync(ApiRequest request)
    {
        var path = request.Context.Request.Path.Value ?? "/";
        (request.Version, request.Path) = ApiVersion.Split(path);
        if (request.Method == "OPTIONS")
        {
            request.Status(200);
            return;
        }

        var match = router.Match(request.Method, request.Path);
        if (match is null)
        {
            await request.DrainAsync().ConfigureAwait(false);
            throw HullException.NotFound("page not found");
        }

        var (route, values) = match.Value;
        request.Values = values;
        await AuthorizeAsync(request, route).ConfigureAwait(false);
        await route.Handler(request).ConfigureAwait(false);
    }

    private async Task AuthorizeAsync(ApiRequest request, Route route)
    {
        try
        {
            await authorization.CheckAsync(request, route).ConfigureAwait(false);
        }
        catch (HullException e)
        {
            audit?.Refused(request, route, e);
            throw;
        }

        if (route.Changes) audit?.Allowed(request, route);
    }

    /// <summary>What Kestrel says of framing it cannot follow; for a chunk longer than an integer it has no word of its own.</summary>
    private static bool IsMalformed(IOException e) => e is Microsoft.AspNetCore.Http.BadHttpRequestException || e.InnerException is OverflowException;

    private static bool IsDeparture(Exception e, ApiRequest request) =>
        e is Microsoft.AspNetCore.Http.BadHttpRequestException or Microsoft.AspNetCore.Connections.ConnectionResetException
        // A server that ends cuts off what is unfinished, and says so before the request is told.
        || e.InnerException is Microsoft.AspNetCore.Connections.ConnectionAbortedException
        || (e is OperationCanceledException or IOException && request.Disconnected.IsCancellationRequested);
}
