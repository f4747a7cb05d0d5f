using System.Text.Json;
using Hull.Core;
using Hull.Engine.Drivers.Shims;
using Hull.Linux.Files;
using Hull.Oci.Runtime;
using Hull.Shim.Protocol;

namespace Hull.Engine.Drivers.Container;

/// <summary>An exec in a container under a shim.</summary>
internal sealed class ContainerExec(ContainerInstance instance, string execId) : IInstanceProcess
{
    private readonly TaskCompletionSource<ExitStatus> _exited = new(TaskCreationOptions.RunContinuationsAsynchronously);

    public string ExecId => execId;

    public int ProcessId { get; set; }

    public Task<ExitStatus> Exited => _exited.Task;

    public IAttachment? Attachment { get; set; }

    public Task ResizeAsync(int columns, int rows, CancellationToken cancellationToken) =>
        instance.RequestAsync(FrameKind.Resize, frame => frame.Write(execId).Write(columns).Write(rows), cancellationToken);

    public Task SignalAsync(int signal, CancellationToken cancellationToken) =>
        instance.RequestAsync(FrameKind.Signal, frame => frame.Write(execId).Write(signal), cancellationToken);

    public ValueTask DisposeAsync() => Attachment?.DisposeAsync() ?? ValueTask.CompletedTask;

    public void Complete(ExitStatus status) => _exited.TrySetResult(status);
}

/// <summary>Execs.</summary>
internal partial class ContainerInstance
{
    public async Task<IInstanceProcess> ExecAsync(ExecSpec spec, CancellationToken cancellationToken)
    {
        var exec = new ContainerExec(this, spec.ExecId);
        lock (_execs) _execs.Add(spec.ExecId, exec);
        try
        {
            var message = new ExecMessage
            {
                ExecId = spec.ExecId,
                Process = JsonSerializer.SerializeToUtf8Bytes(ProcessFor(spec), RuntimeJson.Default.ProcessSpec),
                Terminal = spec.Stdio.Terminal,
                OpenInput = spec.Stdio.OpenInput,
                Columns = spec.Stdio.Columns,
                Rows = spec.Stdio.Rows,
                Streams = (int)spec.Attach,
            };
            var (opened, answer) = await ShimAttachment.OpenAsync(Spec.RuntimeDirectory, message.WriteTo(new FrameWriter(FrameKind.Exec, 1)),
                spec.Stdio.Terminal, exec.Exited, cancellationToken).ConfigureAwait(false);
            exec.ProcessId = ShimConnection.Read(answer, static (ref FrameReader reader) => reader.ReadInt32());
            if (spec.Attach == StreamSelection.None) await opened.DisposeAsync().ConfigureAwait(false);
            else exec.Attachment = opened;
            return exec;
        }
        catch
        {
            lock (_execs) _execs.Remove(spec.ExecId);
            throw;
        }
    }

    internal Task RequestAsync(FrameKind kind, Action<FrameWriter> fields, CancellationToken cancellationToken) =>
        Connection.RequestAsync(kind, fields, cancellationToken);

    /// <summary>The init's process with the exec's program, user and environment; privileges only as the init has, or all.</summary>
    private ProcessSpec ProcessFor(ExecSpec exec)
    {
        var init = Spec.Spec.Process ?? throw HullException.Internal($"{Id} has no process in its spec");
        var account = ResolveUser(exec.User, init);
        var capabilities = exec.Privileged ? ContainerDriver.AllCapabilities : init.Capabilities;
        return init with
        {
            Terminal = exec.Stdio.Terminal,
            ConsoleSize = exec.Stdio is { Columns: > 0, Rows: > 0 }
                ? new ConsoleSize { Width = (uint)exec.Stdio.Columns, Height = (uint)exec.Stdio.Rows }
                : null,
            Args = exec.Arguments,
            Env = Accounts.WithHome(exec.Environment, account.Home),
            Cwd = exec.WorkingDirectory,
            User = account.ToSpec(init.User?.Umask),
            Capabilities = Accounts.CapabilitiesFor(capabilities, account.User),
            ApparmorProfile = exec.Privileged ? null : init.ApparmorProfile,
        };
    }

    protected virtual Account ResolveUser(string user, ProcessSpec init)
    {
        if (user.Length == 0 && init.User is { } same)
            return new Account(same.Uid, same.Gid, same.AdditionalGids ?? [], Accounts.HomeOf(init.Env));
        using var root = RootDirectory.Open($"/proc/{ProcessId}/root");
        return Accounts.Resolve(root, user, Spec.AdditionalGroups);
    }
}
