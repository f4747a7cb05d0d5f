using System.Globalization;
using System.Runtime.InteropServices;
using System.Text;
using Hull.Api;
using Hull.Api.Docker;
using Hull.Api.Http;
using Hull.Api.Native;
using Hull.Core;
using Hull.Engine;
using Hull.Engine.Machines;
using Hull.Images;
using Hull.Images.Distribution;
using Hull.Linux.Files;

namespace Hull.Daemon;

/// <summary>One engine from its start to its end.</summary>
internal sealed class Daemon(DaemonOptions options, Logger log) : IAsyncDisposable
{
    private static readonly TimeSpan RequestGrace = TimeSpan.FromSeconds(3);
    private readonly List<PosixSignalRegistration> signals = [];
    private readonly TaskCompletionSource<string> stopping = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private readonly List<ApiServer> servers = [];
    private readonly IdleTrim idle = new();
    private IReadOnlyList<ApiListener> listeners = [];
    private HullEngine? engine;
    private MachineManager? machines;
    private FileStream? auditFile;
    private string? pidFile;

    public async Task RunAsync()
    {
        log.Configure(options.Config);
        CatchSignals();
        var engineOptions = Composition.Options(options.Config, starts: true);
        ApplyToProcess(options.Config);
        // Listening comes first: clients that are early wait in the sockets' queues instead of being refused.
        listeners = Listeners.Open(options.Config);
        WritePidFile(options.Config.PidFile);
        (engine, var images) = await Composition.OpenAsync(options.Config, engineOptions, log, CancellationToken.None).ConfigureAwait(false);
        machines = await Machines.OpenAsync(engine, log, CancellationToken.None).ConfigureAwait(false);
        engine.Include(machines);
        await ServeAsync(engineOptions, images).ConfigureAwait(false);
        ServiceManager.Notify("READY=1");
        log.Info($"hulld {EngineVersion.Own} listens on {string.Join(", ", listeners.Select(l => l.Address))}");
        log.Info($"{await stopping.Task.ConfigureAwait(false)}: stopping, workloads {(engineOptions.KeepWorkloadsOnShutdown ? "run on" : "end too")}");
        ServiceManager.Notify("STOPPING=1");
        await StopServingAsync().ConfigureAwait(false);
    }

    public async ValueTask DisposeAsync()
    {
        foreach (var signal in signals) signal.Dispose();
        idle.Dispose();
        foreach (var server in servers) await server.DisposeAsync().ConfigureAwait(false);
        if (machines is not null) await machines.DisposeAsync().ConfigureAwait(false);
        if (engine is not null) await engine.DisposeAsync().ConfigureAwait(false);
        foreach (var path in listeners.Select(l => l.SocketPath).OfType<string>()) File.Delete(path);
        if (pidFile is not null) File.Delete(pidFile);
        if (auditFile is not null) await auditFile.DisposeAsync().ConfigureAwait(false);
    }

    /// <summary>What is the process's own: its score for the out-of-memory killer, and the proxies that connections to registries look for.</summary>
    private static void ApplyToProcess(DaemonConfig config)
    {
        if (config.OomScoreAdjust is { } score) AtomicFile.Overwrite("/proc/self/oom_score_adj", Encoding.ASCII.GetBytes(score.ToString(CultureInfo.InvariantCulture)));
        foreach (var (name, value) in new[] { ("http_proxy", config.Proxies.Http), ("https_proxy", config.Proxies.Https), ("no_proxy", config.Proxies.Except) })
        {
            if (value is not { Length: > 0 }) continue;
            Environment.SetEnvironmentVariable(name, value);
            Environment.SetEnvironmentVariable(name.ToUpperInvariant(), value);
        }
    }

    private async Task ServeAsync(EngineOptions engineOptions, IImageService images)
    {
        var services = new ApiServices
        {
            Engine = engine!,
            Images = images,
            Registries = () => Composition.Registries(options.Config),
            Transfers = () => Composition.Transfers(options.Config),
            CheckLogin = CheckLoginAsync,
            EngineId = EngineIdentity.Read(engineOptions.DataRoot),
            Debug = options.Config.Debug,
            Log = log.Line,
            Access = Composition.Access(options.Config),
            Audit = OpenAudit(options.Config.AuditLog),
        };
        var edge = new DockerEdge(services);
        new MachineEndpoints(machines!, services, engineOptions.ExecRoot).Map(edge.Router);
        servers.Add(new ApiServer(listeners, idle.Around(edge.HandleAsync)));
        if (options.Config.MetricsAddress is { } address) servers.Add(new ApiServer([Listeners.Metrics(address)], edge.HandleMetricsAsync));
        foreach (var server in servers) await server.StartAsync(CancellationToken.None).ConfigureAwait(false);
    }

    private async Task StopServingAsync()
    {
        using var grace = new CancellationTokenSource(RequestGrace);
        foreach (var server in servers) await server.StopAsync(grace.Token).ConfigureAwait(false);
    }

    private void CatchSignals()
    {
        foreach (var signal in new[] { PosixSignal.SIGTERM, PosixSignal.SIGINT, PosixSignal.SIGQUIT })
        {
            signals.Add(PosixSignalRegistration.Create(signal, context =>
            {
                context.Cancel = true;
                stopping.TrySetResult(signal.ToString());
            }));
        }

        signals.Add(PosixSignalRegistration.Create(PosixSignal.SIGHUP, context =>
        {
            context.Cancel = true;
            Reload();
        }));
    }

    /// <summary>What can change while the engine runs: registries, mirrors, the bounds of transfers, the log's level. The rest waits for the next start.</summary>
    private void Reload()
    {
        try
        {
            options.Reload();
            log.Configure(options.Config);
            log.Info($"configuration read again from {options.ConfigFile}");
        }
        catch (HullException e)
        {
            log.Error($"configuration not read again, the old one holds: {e.FullMessage}");
        }
    }

    private async Task CheckLoginAsync(string domain, RegistryCredential credential, CancellationToken cancellationToken)
    {
        var distribution = new DistributionOptions { Registries = Composition.Registries(options.Config), Credentials = new FixedCredential(domain, credential) };
        using var registry = new RemoteRepository(ImageReference.Parse(domain + "/login"), distribution);
        await registry.CheckLoginAsync(cancellationToken).ConfigureAwait(false);
    }

    private void WritePidFile(string? path)
    {
        if (string.IsNullOrEmpty(path)) return;
        AtomicFile.Write(path, Encoding.ASCII.GetBytes(Environment.ProcessId.ToString(CultureInfo.InvariantCulture) + "\n"), 0x1A4 /* 0644 */);
        pidFile = path;
    }

    private AuditLog? OpenAudit(string? path)
    {
        if (string.IsNullOrEmpty(path)) return null;
        auditFile = new FileStream(path, new FileStreamOptions
        {
            Mode = FileMode.Append,
            Access = FileAccess.Write,
            Share = FileShare.ReadWrite,
            UnixCreateMode = UnixFileMode.UserRead | UnixFileMode.UserWrite,
        });
        return new AuditLog(auditFile, TimeProvider.System);
    }
}
