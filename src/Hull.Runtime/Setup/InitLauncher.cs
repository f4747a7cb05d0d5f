using Hull.Core;
using Hull.Linux;
using Hull.Linux.Abi;
using Hull.Linux.Children;
using Hull.Linux.Files;
using Hull.Linux.Processes;
using Hull.Linux.Syscalls;
using Hull.Oci.Runtime;
using Hull.Runtime.Hooks;
using Hull.Runtime.Specs;
using Hull.Runtime.State;

namespace Hull.Runtime.Setup;

/// <summary>The parent's side of making a container's init: clones it and answers what it asks for until it is ready.</summary>
internal sealed class InitLauncher(SetupContext context, SafeFd channel, Func<int, Hull.Oci.Runtime.State> stateOf) : IDisposable
{
    private readonly List<SafeFd> _received = [];
    private SafeFd? _pidfd;

    internal int Pid { get; private set; }

    internal SafeFd Pidfd => _pidfd ?? throw HullException.Internal("init was not made yet");

    /// <summary>The master of the terminal, if it had one.</summary>
    internal SafeFd? Terminal { get; private set; }

    /// <summary>Clones init. It waits for nothing until <see cref="Complete"/>, but makes its namespaces meanwhile.</summary>
    internal void Start()
    {
        var clone = ContainerSetup.Write(context);
        (Pid, _pidfd) = ChildLauncher.Start(context.Program, clone);
        context.Channel.Dispose();
        context.StartListener?.Dispose();
        if (context.HasUserNamespace) SetFromOutside(Pid);
    }

    /// <summary>Answers the child until it waits for its start, or has executed its program.</summary>
    internal void Complete(Action<int> becameInit)
    {
        while (true)
        {
            var report = ChildReport.Receive(channel, context.Program, _received);
            if (report.Ended)
            {
                RequireExecuted();
                return;
            }

            switch (report.Message)
            {
                case ContainerSetup.Ready:
                    return;
                case NamespaceSetup.WantsMappings:
                    UserNamespaces.WriteMappings(Pid, context.Linux.UidMappings!, context.Linux.GidMappings!);
                    Answer(report.Message);
                    break;
                case NamespaceSetup.WantsCgroup:
                    if (context.CgroupEntry.NeedsPid) context.Cgroup.Add(Pid);
                    context.Resctrl?.Add(Pid);
                    Answer(report.Message);
                    break;
                case MountSetup.WantsCopy:
                    MountSetup.CopyUp(context, Take());
                    Answer(report.Message);
                    break;
                case NamespaceSetup.ContinuesAs:
                    ContinueWith(report.Value);
                    becameInit(Pid);
                    Answer(report.Message);
                    break;
                case TerminalSetup.TerminalMaster:
                    Terminal = TerminalSetup.Deliver(Take(), context.Options);
                    break;
                case ProcessSetup.SeccompListener:
                    SeccompListeners.Send(context.Linux.Seccomp!, Take(), Pid, stateOf(Pid));
                    Answer(report.Message);
                    break;
                case ContainerSetup.AwaitsHooks:
                    RunHooks();
                    Answer(report.Message);
                    break;
                default:
                    throw HullException.Internal($"init sent an unknown message {report.Message}");
            }
        }
    }

    /// <summary>Gives the pidfd and the terminal to the caller.</summary>
    internal ContainerProcess Release()
    {
        var process = new ContainerProcess(Pid, Pidfd, Terminal);
        (_pidfd, Terminal) = (null, null);
        return process;
    }

    /// <summary>Ends and collects a child whose container failed.</summary>
    internal void Abort()
    {
        if (_pidfd is null) return;
        _ = ProcessCalls.PidfdSendSignal(_pidfd.Value, 9);
        _ = ProcessCalls.Wait(Pid, 0, out _);
    }

    public void Dispose()
    {
        foreach (var descriptor in _received) descriptor.Dispose();
        Terminal?.Dispose();
        _pidfd?.Dispose();
        channel.Dispose();
    }

    /// <summary>The intermediate child has made its successor, which is our child too (CLONE_PARENT), and ends.</summary>
    private void ContinueWith(int pid)
    {
        _ = ProcessCalls.Wait(Pid, 0, out _);
        _pidfd?.Dispose();
        Pid = pid;
        _pidfd = Check.Descriptor(ProcessCalls.PidfdOpen(pid), $"open pidfd of {pid}");
        // It may have been cloned before its predecessor had them.
        if (context.HasUserNamespace) SetFromOutside(pid);
    }

    /// <summary>The channel closes at execve, and at death.</summary>
    private void RequireExecuted()
    {
        // A program that was executed may have run to its end already; a process that was killed before has not. execve marks it
        // as executed before it closes descriptors (begin_new_exec in fs/exec.c), so the mark is there if that closed the channel.
        if (context.StartListener is null && ProcessIdentity.HasExecuted(Pid)) return;
        // Death closes descriptors before it is announced (do_exit in kernel/exit.c), so the status may be yet to come.
        ChildProcess.WaitReadable(Pidfd, -1);
        if (ProcessCalls.PeekStatus(Pidfd) is not { Signal: not 0 and var signal } status) return;
        var hint = signal == 9 && context.Linux.Resources?.Memory?.Limit is > 0 and var limit ? $": its memory limit of {limit} bytes may be too low" : "";
        throw new HullException(ErrorKind.ResourceExhausted, $"the container's init was killed by {status} before it executed its program{hint}");
    }

    private void RunHooks()
    {
        var hooks = context.Spec.Hooks!;
        HookRunner.Run("prestart", hooks.Prestart, () => stateOf(Pid));
        HookRunner.Run("createRuntime", hooks.CreateRuntime, () => stateOf(Pid));
        HookRunner.RunInContainer("createContainer", hooks.CreateContainer, () => stateOf(Pid), Pidfd, context.Linux, context.Rootfs);
    }

    /// <summary>What a process in a user namespace may not set for itself: limits above its own, and its out-of-memory score.</summary>
    private void SetFromOutside(int pid)
    {
        foreach (var limit in context.Process.Rlimits ?? [])
        {
            Check.Result(
                ProcessCalls.SetLimit(pid, ResourceLimitTable.Get(limit.Type), new ResourceLimit { rlim_cur = limit.Soft, rlim_max = limit.Hard }),
                $"set limit {limit.Type}");
        }

        if (context.Process.OomScoreAdj is not { } score) return;
        using var proc = ProcFs.OpenMounted();
        using var file = proc.OpenProcessFile(pid, "oom_score_adj", Fcntl.O_WRONLY);
        var result = FileCalls.Write(file.Value, System.Text.Encoding.ASCII.GetBytes(score.ToString()));
        if (!(context.Rootless && result < 0)) Check.Result(result, $"set oom_score_adj {score}");
    }

    private SafeFd Take()
    {
        if (_received.Count == 0) throw HullException.Internal("init sent a message without its descriptor");
        var descriptor = _received[0];
        _received.RemoveAt(0);
        return descriptor;
    }

    private void Answer(byte message) =>
        Check.Result(SocketCalls.Send(channel.Value, [message]), $"answer the container's process");
}
