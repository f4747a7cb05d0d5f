using System.Runtime.InteropServices;
using Hull.Agent.Protocol;
using Hull.Linux;
using Hull.Linux.Files;
using Hull.Linux.Syscalls;
using Hull.Linux.Terminals;

namespace Hull.Hypervisor.Monitor;

/// <summary>
/// The process that stands on the host for an exec: <c>hull-vm exec-monitor</c>. It gives its streams to the machine's
/// monitor, which serves them, passes signals on, and ends with the exec's exit code.
/// </summary>
internal static class ExecMonitor
{
    private const int ReadyDescriptor = 3;

    public static int Run(string directory, string execId, string streams)
    {
        using var ready = new SafeFd(ReadyDescriptor);
        try
        {
            if (TerminalSession.IsTerminal(SafeFd.Borrow(0)))
            {
                TerminalSession.MakeControlling(SafeFd.Borrow(0));
                TerminalSession.MakeRaw(SafeFd.Borrow(0));
            }

            using var connection = MonitorConnection.Open(directory);
            var process = AtomicFile.Read(Path.Combine(directory, execId + ".json"));
            connection.Request(new WireWriter().U8((byte)MonitorRequest.Exec).Text(execId).Bytes(process).Flag(streams == "terminal"), 0, 1, 2);
            var signals = ForwardSignals(directory, execId);
            FileCalls.Write(ready.Value, new WireWriter().U8((byte)MonitorReply.Done).Written.Span);
            ready.Dispose();
            var end = connection.Receive([]);
            foreach (var registration in signals) registration.Dispose();
            return end is not null && (MonitorReply)end.U8() == MonitorReply.Exited ? (int)end.U32() : 137;
        }
        catch (HullException failure)
        {
            if (!ready.IsClosed)
                FileCalls.Write(ready.Value, MonitorConnection.Failure(failure).Written.Span);
            return ErrorMapping.ToExitCode(failure.Kind);
        }
    }

    private static List<PosixSignalRegistration> ForwardSignals(string directory, string execId)
    {
        const int windowChange = 28;
        int[] forwarded = [1, 2, 3, 10, 12, 15, windowChange];
        List<PosixSignalRegistration> registrations = [];
        foreach (var signal in forwarded)
        {
            registrations.Add(PosixSignalRegistration.Create((PosixSignal)signal, context =>
            {
                context.Cancel = true;
                try
                {
                    using var connection = MonitorConnection.Open(directory);
                    connection.Request(signal == windowChange ? Resize(execId)
                        : new WireWriter().U8((byte)MonitorRequest.Signal).Text(execId).U32((uint)signal));
                }
                catch (HullException)
                {
                    // The process has just ended.
                }
            }));
        }

        return registrations;
    }

    private static WireWriter Resize(string execId)
    {
        var (columns, rows) = TerminalSession.GetSize(SafeFd.Borrow(0));
        return new WireWriter().U8((byte)MonitorRequest.Resize).Text(execId).U32((uint)columns).U32((uint)rows);
    }
}
