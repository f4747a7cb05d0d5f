using System.Runtime.InteropServices;
using Hull.Linux;
using Hull.Linux.Abi;
using Hull.Linux.Processes;
using Hull.Linux.Syscalls;
using Hull.Runtime;

namespace Hull.RuntimeCli.Commands;

/// <summary>Stands in for a process in the foreground: hands it signals and the terminal, and takes on its exit status.</summary>
internal static class Foreground
{
    private static readonly int[] s_forwarded = [1, 2, 3, 10, 12, 15, 28];
    private const int SigWinch = 28;

    internal static ExitStatus Wait(ContainerProcess process)
    {
        var child = ChildProcess.Adopt(process.Pid, process.Pidfd, "the container's process");
        using var relay = process.Terminal is { } master ? TerminalRelay.Start(master) : null;
        if (relay is null && ChildProcess.WaitReadable(process.Pidfd, 0)) return child.Wait();
        var registrations = new List<PosixSignalRegistration>();
        foreach (var signal in s_forwarded)
        {
            registrations.Add(PosixSignalRegistration.Create((PosixSignal)signal, context =>
            {
                context.Cancel = true;
                if (signal == SigWinch && relay is not null) relay.CopySize();
                else child.Kill(signal);
            }));
        }

        // The caller's terminal, if it has one, relays what the container prints until nothing comes any more.
        relay?.Run(process.Pidfd);
        var status = child.Wait();
        foreach (var registration in registrations) registration.Dispose();
        return status;
    }
}
