using System.Diagnostics;
using Hull.Core;
using Hull.Linux.Abi;
using Hull.Linux.Syscalls;
using static Hull.Linux.Abi.Waiting;

namespace Hull.Linux.Processes;

/// <summary>
/// A program that this process started and whose end it must collect. The pidfd keeps signals from ever reaching
/// another process that got the same number.
/// </summary>
public sealed class ChildProcess : IDisposable
{
    /// <summary>The most that <see cref="Run"/> keeps of each output unless told otherwise.</summary>
    public const int DefaultCapture = 4 << 20;

    /// <summary>Exit code of a process whose own nobody here can know.</summary>
    public const int UnknownCode = 255;

    private readonly Lock _gate = new();
    private ExitStatus? _status;
    private bool _stranger;

    private ChildProcess(int pid, SafeFd pidfd, string program)
    {
        Pid = pid;
        Pidfd = pidfd;
        Program = program;
    }

    public int Pid { get; }

    public SafeFd Pidfd { get; }

    public string Program { get; }

    /// <summary>
    /// Starts a program. Throws <see cref="ErrorKind.CommandNotFound"/> or <see cref="ErrorKind.CommandNotExecutable"/>
    /// where it cannot be executed.
    /// </summary>
    public static ChildProcess Start(ChildProcessOptions options)
    {
        var pid = PosixSpawn.Start(options);
        // The child is not collected yet, so its number is still its own.
        return new ChildProcess(pid, Check.Descriptor(ProcessCalls.PidfdOpen(pid), $"open pidfd of {pid}"), options.Program);
    }

    /// <summary>Wraps a child that was made by other means, such as clone3(2).</summary>
    public static ChildProcess Adopt(int pid, SafeFd pidfd, string program) => new(pid, pidfd, program);

    /// <summary>
    /// Runs a program to its end with <paramref name="input"/> on its stdin, and keeps both outputs up to
    /// <paramref name="capture"/> bytes each; more is read and dropped. Past <paramref name="timeout"/>, or when cancelled, it is
    /// killed and that is thrown. Stdin, stdout and stderr of the options are not used. A <paramref name="starter"/> makes the child in
    /// another way, with the streams it is given.
    /// </summary>
    public static ProcessResult Run(ChildProcessOptions options, ReadOnlyMemory<byte> input = default, TimeSpan? timeout = null,
        int capture = DefaultCapture, CancellationToken cancellationToken = default, Func<ChildProcessOptions, ChildProcess>? starter = null)
    {
        var (inRead, inWrite) = FileCalls.Pipe();
        var (outRead, outWrite) = FileCalls.Pipe();
        var (errRead, errWrite) = FileCalls.Pipe();
        using var pump = new OutputPump(inWrite, input, outRead, errRead, capture);
        ChildProcess child;
        using (inRead)
        using (outWrite)
        using (errWrite)
        {
            child = (starter ?? Start)(options with { Stdin = inRead, Stdout = outWrite, Stderr = errWrite });
        }

        using (child)
        {
            try
            {
                pump.Run(child, timeout, cancellationToken);
            }
            catch
            {
                child.Kill(9);
                child.Wait();
                throw;
            }

            return new ProcessResult(options.Program, child.Wait(), pump.Output, pump.Error);
        }
    }

    /// <summary><see cref="Run"/> on a thread of the pool.</summary>
    public static Task<ProcessResult> RunAsync(ChildProcessOptions options, ReadOnlyMemory<byte> input = default,
        TimeSpan? timeout = null, int capture = DefaultCapture, CancellationToken cancellationToken = default) =>
        Task.Run(() => Run(options, input, timeout, capture, cancellationToken), cancellationToken);

    /// <summary>
    /// Wraps a process that is not a child of this one. Its end can be waited for, its status cannot be known: it is
    /// reported as <see cref="UnknownCode"/>.
    /// </summary>
    public static ChildProcess AdoptStranger(int pid, SafeFd pidfd, string program) => new(pid, pidfd, program) { _stranger = true };

    /// <summary>Sends a signal; a process that has ended already is no error.</summary>
    public void Kill(int signal)
    {
        var result = ProcessCalls.PidfdSendSignal(Pidfd.Value, signal);
        if (result != -(nint)Errno.ESRCH) Check.Result(result, $"signal {Program}");
    }

    /// <summary>Waits for the end.</summary>
    public ExitStatus Wait()
    {
        WaitReadable(Pidfd, -1);
        return Collect() ?? throw HullException.Internal($"{Program} ended but left no status");
    }

    /// <summary>The status where the process has ended, else null. Waits at most <paramref name="milliseconds"/>.</summary>
    public ExitStatus? TryWait(int milliseconds = 0)
    {
        WaitReadable(Pidfd, milliseconds);
        return Collect();
    }

    public async Task<ExitStatus> WaitAsync(CancellationToken cancellationToken = default)
    {
        await DescriptorWatcher.Shared.WaitReadableAsync(Pidfd, cancellationToken).ConfigureAwait(false);
        return Wait();
    }

    /// <summary>Closes the pidfd. A child that still runs goes on.</summary>
    public void Dispose() => Pidfd.Dispose();

    /// <summary>Whether a pidfd's process has ended, or a descriptor can be read, now.</summary>
    public static bool IsReadable(SafeFd descriptor) => WaitReadable(descriptor, 0);

    /// <summary>Whether the descriptor became readable within the time; -1 waits for ever.</summary>
    public static bool WaitReadable(SafeFd descriptor, int milliseconds)
    {
        var start = Stopwatch.GetTimestamp();
        Span<PollFd> poll = [new PollFd { fd = descriptor.Value, events = POLLIN }];
        while (true)
        {
            var left = milliseconds < 0 ? -1 : Math.Max(0, milliseconds - (int)Stopwatch.GetElapsedTime(start).TotalMilliseconds);
            var result = ProcessCalls.Poll(poll, left);
            if (result != -(nint)Errno.EINTR) return Check.Result(result, $"wait for {descriptor}") > 0;
        }
    }

    private ExitStatus? Collect()
    {
        lock (_gate)
        {
            if (_status is not null) return _status;
            if (_stranger) return WaitReadable(Pidfd, 0) ? _status = new ExitStatus(UnknownCode, 0) : null;
            var result = ProcessCalls.Wait(Pid, WNOHANG, out var status);
            if (result == 0) return null;
            Check.Result(result, $"collect {Program}");
            return _status = ExitStatus.FromWaitStatus(status);
        }
    }
}
