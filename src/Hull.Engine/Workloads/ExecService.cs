using System.Collections.Concurrent;
using Hull.Core;
using Hull.Engine.Drivers;

namespace Hull.Engine.Workloads;

/// <summary>
/// Execs. They live in memory: an exec that was not started is gone with the engine; one that runs is the shim's and runs on, but
/// the next engine does not know it, as with Docker.
/// </summary>
internal sealed class ExecService(WorkloadService workloads, TimeProvider clock) : IExecs
{
    private static readonly TimeSpan s_kept = TimeSpan.FromMinutes(5);
    private readonly ConcurrentDictionary<string, Exec> _execs = new(StringComparer.Ordinal);

    public Task<string> CreateAsync(string workload, ExecConfig config, CancellationToken cancellationToken)
    {
        var target = workloads.Get(workload);
        target.RequireRunning();
        if (target.State.Status == WorkloadStatus.Paused) throw HullException.Conflict($"container {target.Name} is paused, unpause the container before exec");
        if (config.Command.Count == 0) throw HullException.Invalid("no exec command specified");
        if (config.DetachKeys is { } keys) _ = DetachKeysAttachment.Parse(keys);
        Forget();
        var exec = new Exec(RandomId.New(), target, config);
        _execs[exec.Id] = exec;
        lock (target.ExecIds) target.ExecIds.Add(exec.Id);
        workloads.Publish(target, "exec_create: " + string.Join(' ', config.Command), ("execID", exec.Id));
        return Task.FromResult(exec.Id);
    }

    public async Task<IAttachment?> StartAsync(string execId, ExecStartRequest request, CancellationToken cancellationToken)
    {
        var exec = Get(execId);
        if (Interlocked.Exchange(ref exec.Started, 1) != 0) throw HullException.Conflict($"exec {execId} has already run");
        var (target, config) = (exec.Workload, exec.Config);
        var instance = target.RequireRunning();
        if (target.State.Status == WorkloadStatus.Paused) throw HullException.Conflict($"container {target.Name} is paused, unpause the container before exec");
        workloads.Publish(target, "exec_start: " + string.Join(' ', config.Command), ("execID", exec.Id));
        try
        {
            var process = await instance.ExecAsync(new ExecSpec
            {
                ExecId = exec.Id,
                Arguments = config.Command,
                Environment = Environment(target, config),
                WorkingDirectory = config.WorkingDirectory is { Length: > 0 } directory ? directory : target.Record.Process.WorkingDirectory,
                User = config.User is { Length: > 0 } user ? user : target.Record.Process.User,
                Privileged = config.Privileged,
                Stdio = new StdioSpec(config.Terminal, !request.Detach && config.Attach.HasFlag(StreamSelection.Input), true)
                {
                    Columns = request.Columns,
                    Rows = request.Rows,
                },
                Attach = request.Detach ? StreamSelection.None : config.Attach,
            }, cancellationToken).ConfigureAwait(false);
            exec.Process = process;
            _ = FollowAsync(exec, process);
            return Wrap(exec, process.Attachment);
        }
        catch (HullException error)
        {
            exec.ExitCode = error.Kind == ErrorKind.CommandNotExecutable ? 126 : error.Kind == ErrorKind.CommandNotFound ? 127 : 126;
            End(exec);
            throw;
        }
    }

    public Task ResizeAsync(string execId, int columns, int rows, CancellationToken cancellationToken)
    {
        var exec = Get(execId);
        if (exec.Process is not { } process || exec.ExitCode is not null) throw HullException.Conflict($"exec {execId} is not running");
        return process.ResizeAsync(columns, rows, cancellationToken);
    }

    public ExecSnapshot Inspect(string execId)
    {
        var exec = Get(execId);
        // The end is known here a moment before whoever follows it has written it down.
        var code = exec.ExitCode ?? (exec.Process is { Exited.IsCompletedSuccessfully: true } done ? done.Exited.Result.Code : null);
        return new ExecSnapshot
        {
            Id = exec.Id,
            WorkloadId = exec.Workload.Id,
            Config = exec.Config,
            Running = exec.Process is not null && code is null,
            ExitCode = code,
            ProcessId = exec.Process?.ProcessId ?? 0,
        };
    }

    private Exec Get(string execId) =>
        _execs.TryGetValue(execId, out var exec) && !exec.Workload.Removed ? exec : throw HullException.NotFound($"No such exec instance: {execId}");

    private IAttachment? Wrap(Exec exec, IAttachment? attachment)
    {
        if (attachment is null || !exec.Config.Terminal) return attachment;
        var keys = DetachKeysAttachment.Parse(exec.Config.DetachKeys ?? "ctrl-p,ctrl-q");
        return keys.Length == 0 ? attachment
            : new DetachKeysAttachment(attachment, keys, () => workloads.Publish(exec.Workload, "exec_detach", ("execID", exec.Id)));
    }

    private static IReadOnlyList<string> Environment(Workload workload, ExecConfig config)
    {
        var environment = new List<string>(workload.Spec?.Spec.Process?.Env ?? []);
        if (config.Terminal && !environment.Any(one => one.StartsWith("TERM=", StringComparison.Ordinal))) environment.Add("TERM=xterm");
        foreach (var variable in config.Environment)
        {
            var name = variable.Split('=')[0] + "=";
            environment.RemoveAll(one => one.StartsWith(name, StringComparison.Ordinal));
            if (variable.Contains('=')) environment.Add(variable);
        }

        return environment;
    }

    private async Task FollowAsync(Exec exec, IInstanceProcess process)
    {
        var exit = await process.Exited.ConfigureAwait(false);
        exec.ExitCode = exit.Code;
        End(exec);
        workloads.Publish(exec.Workload, "exec_die", ("execID", exec.Id),
            ("exitCode", exit.Code.ToString(System.Globalization.CultureInfo.InvariantCulture)));
    }

    private void End(Exec exec)
    {
        exec.Ended = new Age(clock, clock.GetUtcNow());
        lock (exec.Workload.ExecIds) exec.Workload.ExecIds.Remove(exec.Id);
    }

    /// <summary>Clients ask for the exit code after the end; a few minutes later nobody does.</summary>
    private void Forget()
    {
        foreach (var exec in _execs.Values)
        {
            if (exec.Workload.Removed || exec.Ended?.Now > s_kept) _execs.TryRemove(exec.Id, out _);
        }
    }

    private sealed class Exec(string id, Workload workload, ExecConfig config)
    {
        public int Started;

        public string Id => id;

        public Workload Workload => workload;

        public ExecConfig Config => config;

        public IInstanceProcess? Process { get; set; }

        public int? ExitCode { get; set; }

        public Age? Ended { get; set; }
    }
}
