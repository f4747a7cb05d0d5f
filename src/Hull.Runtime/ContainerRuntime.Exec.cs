using Hull.Core;
using Hull.Linux;
using Hull.Linux.Abi;
using Hull.Linux.Cgroups;
using Hull.Linux.Children;
using Hull.Linux.Processes;
using Hull.Linux.Seccomp;
using Hull.Linux.Syscalls;
using Hull.Oci.Runtime;
using Hull.Runtime.Resources;
using Hull.Runtime.Setup;
using Hull.Runtime.Specs;
using Hull.Runtime.State;

namespace Hull.Runtime;

/// <content>Further processes.</content>
public sealed partial class ContainerRuntime
{
    /// <summary>Starts a further process in a created or running container.</summary>
    public ContainerProcess Exec(string id, ProcessSpec process, ExecOptions exec) => Exec(id, _ => process, exec);

    /// <inheritdoc cref="Exec(string, ProcessSpec, ExecOptions)"/>
    /// <param name="describe">Makes the process from the container's configuration.</param>
    public ContainerProcess Exec(string id, Func<Spec, ProcessSpec> describe, ExecOptions exec)
    {
        using var directory = ContainerDirectory.Open(Options.Root, id, locked: false);
        var state = directory.ReadState();
        using var init = ProcessIdentity.TryOpen(state) ?? throw HullException.Conflict($"cannot exec in container {id}: container not running");
        var cgroup = CgroupManager.Load(state.Cgroup, state.Rootless);
        if (!exec.IgnorePaused && cgroup.Freezer is FreezerState.Frozen or FreezerState.Freezing)
            throw HullException.Conflict($"cannot exec in a paused container (use --ignore-paused to override): {id}");
        var spec = directory.ReadSpec();
        var process = describe(spec);
        SpecValidator.ValidateProcess(process);
        if (process.Terminal && exec.ConsoleSocket is null && !exec.AcceptsTerminal)
            throw HullException.Invalid("process.terminal is true, but there is no console socket to send the terminal to");

        var seccomp = FilterOf(spec);
        try
        {
            using var entry = cgroup.OpenEntry(exec.Subgroups);
            return Enter(state, spec, process, exec, init, cgroup, entry, seccomp);
        }
        catch (HullException error) when (error.Errno == Errno.EBUSY && exec.Subgroups.Count == 0)
        {
            // The container has made cgroups below its own and moved its processes there.
            using var entry = cgroup.OpenEntryOf(state.Pid);
            return Enter(state, spec, process, exec, init, cgroup, entry, seccomp);
        }
    }

    private ContainerProcess Enter(
        StoredState state, Spec spec, ProcessSpec process, ExecOptions exec, SafeFd init, ICgroup cgroup, CgroupEntry entry, SeccompProgram? seccomp)
    {
        var (channel, childChannel) = ChildReport.CreateChannel(3 + exec.ExtraDescriptors.Count);
        using (channel)
        using (childChannel)
        using (var setup = new ExecSetup
        {
            State = state, Spec = spec, Process = process, Options = exec, Init = init, CgroupEntry = entry, Seccomp = seccomp, Channel = childChannel,
        })
        {
            return Launch(setup, channel, cgroup, exec, spec);
        }
    }

    private ContainerProcess Launch(ExecSetup setup, SafeFd channel, ICgroup cgroup, ExecOptions exec, Spec spec)
    {
        var (pid, pidfd) = ChildLauncher.Start(setup.Program, setup.Write());
        setup.Channel.Dispose();
        Options.Debug?.Invoke($"exec: process {pid} enters the cgroup and the namespaces [{string.Join(' ', setup.State.Namespaces)}] of init {setup.State.Pid}");
        SafeFd? terminal = null;
        var received = new List<SafeFd>();
        try
        {
            if (setup.CgroupEntry.NeedsPid) cgroup.Add(pid);
            for (var report = Next(); !report.Ended; report = Next())
            {
                switch (report.Message)
                {
                    case NamespaceSetup.WantsCgroup:
                        LoadResctrl(setup.State)?.Add(pid);
                        Check.Result(SocketCalls.Send(channel.Value, [report.Message]), $"answer the container's process");
                        break;
                    case NamespaceSetup.ContinuesAs:
                        _ = ProcessCalls.Wait(pid, 0, out _);
                        pidfd.Dispose();
                        pid = report.Value;
                        pidfd = Check.Descriptor(ProcessCalls.PidfdOpen(pid), $"open pidfd of {pid}");
                        Check.Result(SocketCalls.Send(channel.Value, [report.Message]), $"answer the container's process");
                        break;
                    case TerminalSetup.TerminalMaster:
                        terminal = TerminalSetup.Deliver(received[0], exec);
                        break;
                    case ProcessSetup.SeccompListener:
                        SeccompListeners.Send(spec.Linux!.Seccomp!, received[0], pid, ToSpecState(setup.State, ContainerStatus.Running, setup.State.Pid));
                        Check.Result(SocketCalls.Send(channel.Value, [report.Message]), $"answer the container's process");
                        break;
                    default:
                        throw HullException.Internal($"a process sent an unknown message {report.Message}");
                }

                received.Clear();
            }

            WritePidFile(exec, pid);
            Options.Debug?.Invoke($"exec: process {pid} has executed {setup.Process.Args![0]}");
            return new ContainerProcess(pid, pidfd, terminal);
        }
        catch
        {
            _ = ProcessCalls.PidfdSendSignal(pidfd.Value, SigKill);
            _ = ProcessCalls.Wait(pid, 0, out _);
            pidfd.Dispose();
            terminal?.Dispose();
            throw;
        }

        ChildReport Next() => ChildReport.Receive(channel, setup.Program, received);
    }
}
