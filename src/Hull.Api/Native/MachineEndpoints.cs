using System.Buffers;
using System.Net.Sockets;
using System.Text.Json;
using Hull.Api.Docker.Containers;
using Hull.Api.Http;
using Hull.Core;
using Hull.Engine.Machines;
using Hull.Engine.Workloads;
using Hull.Hypervisor.Bootstrap;
using Hull.Protocol;
using Hull.Protocol.Machines;

namespace Hull.Api.Native;

/// <summary>Full machines, in the engine's own API below <c>/hull/v1/machines</c>.</summary>
/// <param name="workDirectory">For files that monitors and bootstraps write.</param>
public sealed class MachineEndpoints(MachineManager machines, ApiServices services, string workDirectory)
{
    private const string Machines = "hull/v1/machines";
    private const string One = Machines + "/{name}";
    private static readonly TimeSpan DefaultStopTimeout = TimeSpan.FromSeconds(60);

    public void Map(Router router) => router
        .Get(Machines, request => request.WriteJsonAsync(machines.Machines.Select(MachineMapping.ToResource).ToList(), MachineProtocolJson.Default.ListMachineResource))
        .Post(Machines, CreateAsync)
        .Get(One, request => AnswerAsync(request, machines.Get(request["name"])))
        .Put(One, EditAsync)
        .Delete(One, RemoveAsync)
        .Post(One + "/start", async request => await AnswerAsync(request, await machines.StartAsync(request["name"], request.Disconnected).ConfigureAwait(false)).ConfigureAwait(false))
        .Post(One + "/stop", StopAsync)
        .Post(One + "/reset", request => DoneAsync(request, machines.ResetAsync(request["name"], request.Disconnected)))
        .Post(One + "/pause", request => DoneAsync(request, machines.PauseAsync(request["name"], request.Disconnected)))
        .Post(One + "/resume", request => DoneAsync(request, machines.ResumeAsync(request["name"], request.Disconnected)))
        .Post(One + "/clone", CloneAsync)
        .Post(One + "/console", ConsoleAsync)
        .Get(One + "/screenshot", ScreenshotAsync)
        .Post(One + "/snapshots", SnapshotAsync)
        .Post(One + "/snapshots/{snapshot}/restore", RestoreAsync)
        .Delete(One + "/snapshots/{snapshot}", request => DoneAsync(request, machines.RemoveSnapshotAsync(request["name"], request["snapshot"])))
        .Post(One + "/backups", BackupAsync)
        .Post(One + "/disks", AttachDiskAsync)
        .Delete(One + "/disks/{disk}", async request => await AnswerAsync(request, await machines.DetachDiskAsync(request["name"], request["disk"]).ConfigureAwait(false)).ConfigureAwait(false))
        .Post(One + "/disks/{disk}/export", ExportDiskAsync)
        .Post(One + "/nics", AttachNicAsync)
        .Delete(One + "/nics/{nic}", async request => await AnswerAsync(request, await machines.DetachNicAsync(request["name"], request["nic"]).ConfigureAwait(false)).ConfigureAwait(false))
        .Post(One + "/export", ExportAsync)
        .Get("hull/v1/machine-usage", UsageAsync)
        .Post("hull/v1/machine-imports", ImportAsync)
        .Post(One + "/push", PushAsync)
        .Post("hull/v1/machine-pulls", PullAsync)
        .Post("hull/v1/machine-disks", BootstrapAsync);

    private static Task AnswerAsync(ApiRequest request, MachineView view, int status = 200) =>
        request.WriteJsonAsync(MachineMapping.ToResource(view), MachineProtocolJson.Default.MachineResource, status);

    private static async Task DoneAsync(ApiRequest request, Task operation)
    {
        await operation.ConfigureAwait(false);
        request.Status(204);
    }

    /// <summary>Usage of the machines that run, in the words of <c>docker stats</c>: one table holds both.</summary>
    private Task UsageAsync(ApiRequest request) => request.WriteJsonAsync(
        [.. machines.Usage().Select(one => StatsMapping.ToStats(new StatsSample(one.Machine.Record.Id, one.Machine.Record.Config.Name, one.Usage, null)))],
        DockerJson.Wire.ListContainerStats);

    private async Task CreateAsync(ApiRequest request)
    {
        var body = await request.ReadJsonAsync(MachineProtocolJson.Default.MachineCreateRequest).ConfigureAwait(false);
        var view = await machines.CreateAsync(MachineMapping.ToConfig(body), [.. body.Disks.Select(MachineMapping.ToSource)], request.Disconnected).ConfigureAwait(false);
        await AnswerAsync(request, view, 201).ConfigureAwait(false);
    }

    private async Task EditAsync(ApiRequest request)
    {
        var body = await request.ReadJsonAsync(MachineProtocolJson.Default.MachineEditRequest).ConfigureAwait(false);
        await AnswerAsync(request, await machines.EditAsync(request["name"], config => MachineMapping.Apply(config, body)).ConfigureAwait(false)).ConfigureAwait(false);
    }

    private Task RemoveAsync(ApiRequest request) => DoneAsync(request, machines.RemoveAsync(request["name"], request.Flag("force")));

    private async Task StopAsync(ApiRequest request)
    {
        var timeout = request.Number("t") is { } seconds ? TimeSpan.FromSeconds(Math.Clamp(seconds, 0, 86400)) : DefaultStopTimeout;
        await AnswerAsync(request, await machines.StopAsync(request["name"], timeout, request.Disconnected).ConfigureAwait(false)).ConfigureAwait(false);
    }

    private async Task CloneAsync(ApiRequest request)
    {
        var body = await request.ReadJsonAsync(MachineProtocolJson.Default.MachineCloneRequest).ConfigureAwait(false);
        await AnswerAsync(request, await machines.CloneAsync(request["name"], body.Name, body.Linked).ConfigureAwait(false), 201).ConfigureAwait(false);
    }

    private async Task SnapshotAsync(ApiRequest request)
    {
        var body = await request.ReadJsonAsync(MachineProtocolJson.Default.MachineSnapshotRequest).ConfigureAwait(false);
        var snapshot = await machines.SnapshotAsync(request["name"], body.Name, body.Memory, body.Description).ConfigureAwait(false);
        await request.WriteJsonAsync(MachineMapping.ToResource(snapshot), MachineProtocolJson.Default.MachineSnapshotResource, 201).ConfigureAwait(false);
    }

    private async Task RestoreAsync(ApiRequest request) =>
        await AnswerAsync(request, await machines.RestoreAsync(request["name"], request["snapshot"]).ConfigureAwait(false)).ConfigureAwait(false);

    private async Task BackupAsync(ApiRequest request)
    {
        var body = await request.ReadJsonAsync(MachineProtocolJson.Default.MachineBackupRequest).ConfigureAwait(false);
        var backup = await machines.BackupAsync(request["name"], MachineMapping.Absolute(body.Directory), body.Incremental, request.Disconnected).ConfigureAwait(false);
        var resource = new MachineBackupResource(backup.Name, backup.Parent, backup.Disks.Values.Sum(disk => disk.Bytes));
        await request.WriteJsonAsync(resource, MachineProtocolJson.Default.MachineBackupResource, 201).ConfigureAwait(false);
    }

    private async Task AttachDiskAsync(ApiRequest request)
    {
        var body = await request.ReadJsonAsync(MachineProtocolJson.Default.MachineDiskRequest).ConfigureAwait(false);
        await AnswerAsync(request, await machines.AttachDiskAsync(request["name"], MachineMapping.ToSource(body)).ConfigureAwait(false)).ConfigureAwait(false);
    }

    private async Task ExportDiskAsync(ApiRequest request)
    {
        var body = await request.ReadJsonAsync(MachineProtocolJson.Default.MachineDiskExportRequest).ConfigureAwait(false);
        await DoneAsync(request, machines.ExportDiskAsync(request["name"], request["disk"], MachineMapping.Absolute(body.Path), body.Format, request.Disconnected)).ConfigureAwait(false);
    }

    private async Task AttachNicAsync(ApiRequest request)
    {
        var body = await request.ReadJsonAsync(MachineProtocolJson.Default.MachineNicRequest).ConfigureAwait(false);
        var network = body.Network ?? throw HullException.Invalid("a NIC that is plugged in needs a network");
        await AnswerAsync(request, await machines.AttachNicAsync(request["name"], network, body.Address).ConfigureAwait(false)).ConfigureAwait(false);
    }

    private async Task ExportAsync(ApiRequest request)
    {
        var body = await request.ReadJsonAsync(MachineProtocolJson.Default.MachineExportRequest).ConfigureAwait(false);
        await DoneAsync(request, machines.ExportAsync(request["name"], MachineMapping.Absolute(body.Path), request.Disconnected)).ConfigureAwait(false);
    }

    private async Task ImportAsync(ApiRequest request)
    {
        var body = await request.ReadJsonAsync(MachineProtocolJson.Default.MachineImportRequest).ConfigureAwait(false);
        var path = MachineMapping.Absolute(body.Path);
        var view = body.Kind switch
        {
            "ova" => await machines.ImportAsync(path, body.Name, request.Disconnected).ConfigureAwait(false),
            "backup" => await machines.RestoreBackupAsync(path, body.Name, request.Disconnected).ConfigureAwait(false),
            var other => throw HullException.Invalid($"unknown kind of import '{other}': expected ova or backup"),
        };
        await AnswerAsync(request, view, 201).ConfigureAwait(false);
    }

    private async Task PushAsync(ApiRequest request)
    {
        var body = await request.ReadJsonAsync(MachineProtocolJson.Default.MachinePushRequest).ConfigureAwait(false);
        var target = ImageReference.Parse(body.Reference).WithDefaultTag();
        using var registry = services.Registry(request, target);
        var digest = await machines.PushAsync(request["name"], target, registry, request.Disconnected).ConfigureAwait(false);
        await request.WriteJsonAsync(new MachinePushResource(target.Familiar, digest.ToString()), MachineProtocolJson.Default.MachinePushResource, 201).ConfigureAwait(false);
    }

    private async Task PullAsync(ApiRequest request)
    {
        var body = await request.ReadJsonAsync(MachineProtocolJson.Default.MachinePullRequest).ConfigureAwait(false);
        var reference = ImageReference.Parse(body.Reference).WithDefaultTag();
        using var registry = services.Registry(request, reference);
        var view = await machines.PullAsync(reference, registry, artifact => MachineMapping.ToConfig(artifact, body), request.Disconnected).ConfigureAwait(false);
        await AnswerAsync(request, view, 201).ConfigureAwait(false);
    }

    private async Task ScreenshotAsync(ApiRequest request)
    {
        // The monitor writes the file, so it is made where the monitor may write and nobody else may read.
        var path = Path.Combine(workDirectory, $"screen-{RandomId.New()[..12]}.png");
        try
        {
            await machines.ScreenshotAsync(request["name"], path, request.Disconnected).ConfigureAwait(false);
            await request.WriteAsync(await File.ReadAllBytesAsync(path, request.Disconnected).ConfigureAwait(false), "image/png").ConfigureAwait(false);
        }
        finally
        {
            File.Delete(path);
        }
    }

    /// <summary>Joins the client's connection to the serial port until either ends.</summary>
    private async Task ConsoleAsync(ApiRequest request)
    {
        using var socket = new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
        await socket.ConnectAsync(new UnixDomainSocketEndPoint(machines.ConsoleSocket(request["name"])), request.Disconnected).ConfigureAwait(false);
        await using var client = await request.HijackAsync("application/vnd.docker.raw-stream").ConfigureAwait(false);
        using var ended = new CancellationTokenSource();
        var toClient = PumpAsync(buffer => socket.ReceiveAsync(buffer, ended.Token), bytes => client.WriteAsync(bytes, ended.Token));
        var toMachine = PumpAsync(buffer => client.ReadAsync(buffer, ended.Token), async bytes => await socket.SendAsync(bytes, ended.Token).ConfigureAwait(false));
        await Task.WhenAny(toClient, toMachine).ConfigureAwait(false);
        await ended.CancelAsync().ConfigureAwait(false);
        await Task.WhenAll(toClient, toMachine).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
    }

    private static async Task PumpAsync(Func<Memory<byte>, ValueTask<int>> read, Func<ReadOnlyMemory<byte>, ValueTask> write)
    {
        var buffer = new byte[16384];
        int count;
        while ((count = await read(buffer).ConfigureAwait(false)) > 0) await write(buffer.AsMemory(0, count)).ConfigureAwait(false);
    }

    private async Task BootstrapAsync(ApiRequest request)
    {
        var body = await request.ReadJsonAsync(MachineProtocolJson.Default.MachineBootstrapRequest).ConfigureAwait(false);
        var recipe = MachineRecipe.Parse(body.System, body.Bytes, body.Packages);
        var work = Directory.CreateDirectory(Path.Combine(workDirectory, "bootstrap-" + RandomId.New()[..12])).FullName;
        try
        {
            await request.StartStreamAsync("application/x-ndjson").ConfigureAwait(false);
            await MachineBootstrap.BuildAsync(recipe, MachineMapping.Absolute(body.Path), work,
                step => WriteProgress(request, new MachineProgress(step)), request.Disconnected).ConfigureAwait(false);
            WriteProgress(request, new MachineProgress("done"));
        }
        catch (HullException error) when (request.HasStarted)
        {
            WriteProgress(request, new MachineProgress(null, error.FullMessage));
        }
        finally
        {
            Directory.Delete(work, recursive: true);
        }
    }

    private static void WriteProgress(ApiRequest request, MachineProgress progress)
    {
        var line = JsonSerializer.SerializeToUtf8Bytes(progress, MachineProtocolJson.Default.MachineProgress);
        request.Response.BodyWriter.Write([.. line, (byte)'\n']);
        request.Response.BodyWriter.FlushAsync().AsTask().Wait(TimeSpan.FromSeconds(5));
    }
}
