using Hull.Core;
using Hull.Linux.Abi;
using Hull.Linux.Syscalls;
using Hull.Linux;
using Hull.Oci.Runtime;
using Hull.Runtime;
using Hull.Shim.Protocol;

namespace Hull.Shim.Runtimes;

/// <summary>Hull's own runtime, in this process: no program is started but the container's.</summary>
internal sealed class LibraryRuntime(CreateMessage create) : IContainerRuntime
{
    private readonly ContainerRuntime _runtime = new(new RuntimeOptions { Root = create.RuntimeRoot });

    public void Create(StdioPipes? pipes, Action<Exception?, StartedProcess> done) =>
        done(Try(() =>
        {
            using var none = OpenNull();
            return Take(_runtime.Create(create.Id, new CreateOptions { Bundle = create.Bundle, Streams = Streams(pipes, none), AcceptsTerminal = true }));
        }, out var started), started);

    public void Start(Action<Exception?> done) =>
        done(Try(() =>
        {
            _runtime.Start(create.Id);
            return default;
        }, out _));

    public void Exec(ExecMessage exec, StdioPipes? pipes, Action<Exception?, StartedProcess> done) =>
        done(Try(() =>
        {
            using var none = OpenNull();
            var process = RuntimeDocuments.ParseProcess(exec.Process, "the process to execute");
            return Take(_runtime.Exec(create.Id, process, new ExecOptions { Streams = Streams(pipes, none), AcceptsTerminal = true }));
        }, out var started), started);

    public void Delete(Action done)
    {
        Try(() =>
        {
            _runtime.Delete(create.Id, force: true);
            return default;
        }, out _);
        done();
    }

    private static StandardStreams Streams(StdioPipes? pipes, SafeFd none) =>
        pipes is null ? new StandardStreams(none, none, none) : new StandardStreams(pipes.Input ?? none, pipes.Output, pipes.Error);

    private static SafeFd OpenNull() =>
        Check.Descriptor(FileCalls.OpenAt(Fcntl.AT_FDCWD, "/dev/null", Fcntl.O_RDWR), $"open /dev/null");

    /// <summary>The process is watched by its pid, which only this process collects; its terminal is kept.</summary>
    private static StartedProcess Take(ContainerProcess process)
    {
        var terminal = process.Terminal?.Duplicate();
        process.Dispose();
        return new StartedProcess(process.Pid, terminal);
    }

    private static Exception? Try(Func<StartedProcess> action, out StartedProcess started)
    {
        try
        {
            started = action();
            return null;
        }
        catch (HullException error)
        {
            started = default;
            return error;
        }
    }
}
