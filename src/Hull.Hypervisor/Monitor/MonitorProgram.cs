using System.Runtime.InteropServices;
using System.Text.Json;
using Hull.Agent.Protocol;
using Hull.Hypervisor.Templates;
using Hull.Linux;
using Hull.Linux.Abi;
using Hull.Linux.Syscalls;
using Hull.Linux.Terminals;

namespace Hull.Hypervisor.Monitor;

/// <summary>The monitor process itself: <c>hull-vm monitor</c>, started by <c>create</c> and left behind by it.</summary>
internal static class MonitorProgram
{
    /// <summary>Descriptor on which <c>create</c> waits for the outcome.</summary>
    private const int ReadyDescriptor = 3;

    public static int Run(string stateDirectory, string bundle, string id) => RunAsync(stateDirectory, bundle, id).GetAwaiter().GetResult();

    private static async Task<int> RunAsync(string stateDirectory, string bundle, string id)
    {
        using var ready = new SafeFd(ReadyDescriptor);
        VmMonitor monitor;
        SafeFd listener;
        try
        {
            TakeTerminal();
            listener = MonitorConnection.Listen(stateDirectory);
            monitor = await VmMonitor.CreateAsync(id, bundle).ConfigureAwait(false);
        }
        catch (HullException failure)
        {
            Tell(ready, MonitorConnection.Failure(failure));
            return 1;
        }

        Tell(ready, new WireWriter().U8((byte)MonitorReply.Done).U32((uint)monitor.MachineProcessId));
        return await ServeAsync(listener, monitor).ConfigureAwait(false);
    }

    /// <summary>Where the standard input is a terminal, it is this process's from now on.</summary>
    public static void TakeTerminal()
    {
        if (!TerminalSession.IsTerminal(SafeFd.Borrow(0))) return;
        TerminalSession.MakeControlling(SafeFd.Borrow(0));
        TerminalSession.MakeRaw(SafeFd.Borrow(0));
    }

    /// <summary>Stands for the container until it ends, and answers its exit code.</summary>
    public static async Task<int> ServeAsync(SafeFd listener, VmMonitor monitor)
    {
        try
        {
            var signals = ForwardSignals(monitor);
            new Thread(() => Accept(listener, monitor)) { IsBackground = true, Name = "accept" }.Start();
            var code = await monitor.WaitAsync().ConfigureAwait(false);
            foreach (var registration in signals) registration.Dispose();
            return code;
        }
        finally
        {
            await monitor.EndAsync().ConfigureAwait(false);
        }
    }

    private static void Tell(SafeFd ready, WireWriter message)
    {
        FileCalls.Write(ready.Value, message.Written.Span);
        ready.Dispose();
    }

    /// <summary>
    /// Signals for the container's init reach this process, which stands for it, and are passed on. The size of the
    /// terminal changes by signal too.
    /// </summary>
    private static List<PosixSignalRegistration> ForwardSignals(VmMonitor monitor)
    {
        const int windowChange = 28;
        int[] forwarded = [1, 2, 3, 10, 12, 15];
        List<PosixSignalRegistration> registrations = [];
        foreach (var signal in forwarded)
        {
            registrations.Add(PosixSignalRegistration.Create((PosixSignal)signal, context =>
            {
                context.Cancel = true;
                _ = Quietly(() => monitor.SignalAsync("", signal));
            }));
        }

        registrations.Add(PosixSignalRegistration.Create((PosixSignal)windowChange, context =>
        {
            context.Cancel = true;
            if (!TerminalSession.IsTerminal(SafeFd.Borrow(0))) return;
            var (columns, rows) = TerminalSession.GetSize(SafeFd.Borrow(0));
            _ = Quietly(() => monitor.ResizeAsync("", columns, rows));
        }));
        return registrations;
    }

    private static async Task Quietly(Func<Task> action)
    {
        try
        {
            await action().ConfigureAwait(false);
        }
        catch (HullException)
        {
            // The container has just ended; its end is what counts.
        }
    }

    private static void Accept(SafeFd listener, VmMonitor monitor)
    {
        while (true)
        {
            var accepted = SocketCalls.Accept(listener.Value);
            if (accepted < 0) return;
            var connection = new MonitorConnection(new SafeFd((int)accepted));
            new Thread(() => Serve(connection, monitor)) { IsBackground = true, Name = "connection" }.Start();
        }
    }

    private static void Serve(MonitorConnection connection, VmMonitor monitor)
    {
        using (connection)
        {
            List<SafeFd> descriptors = [];
            while (connection.Receive(descriptors) is { } message)
            {
                WireWriter answer;
                try
                {
                    answer = Answer(connection, monitor, message, descriptors);
                }
                catch (HullException failure)
                {
                    answer = MonitorConnection.Failure(failure);
                }

                if (SocketCalls.Send(connection.Socket.Value, answer.Written.Span) < 0) return;
                descriptors.Clear();
            }
        }
    }

    private static WireWriter Answer(MonitorConnection connection, VmMonitor monitor, WireReader message, List<SafeFd> descriptors)
    {
        switch ((MonitorRequest)message.U8())
        {
            case MonitorRequest.Start:
                monitor.StartAsync().GetAwaiter().GetResult();
                break;
            case MonitorRequest.Signal:
                monitor.SignalAsync(message.Text(), (int)message.U32()).GetAwaiter().GetResult();
                break;
            case MonitorRequest.Resize:
                monitor.ResizeAsync(message.Text(), (int)message.U32(), (int)message.U32()).GetAwaiter().GetResult();
                break;
            case MonitorRequest.Exec:
                if (descriptors.Count != 3) throw HullException.Invalid("an exec needs three standard streams");
                var end = monitor.ExecAsync(message.Text(), message.Bytes(), message.Flag(), descriptors.ToArray()).GetAwaiter().GetResult();
                connection.Send(new WireWriter().U8((byte)MonitorReply.Done));
                return new WireWriter().U8((byte)MonitorReply.Exited).U32((uint)end.GetAwaiter().GetResult());
            case MonitorRequest.Archive:
                if (descriptors.Count != 3) throw HullException.Invalid("a copy of files needs three standard streams");
                return new WireWriter().U8((byte)MonitorReply.Exited)
                    .U32((uint)monitor.ArchiveAsync(message.Text(), message.Text(), descriptors.ToArray()).GetAwaiter().GetResult());
            case MonitorRequest.Save:
                if (descriptors.Count != 1) throw HullException.Invalid("a save needs a memory file");
                using (var memory = descriptors[0])
                {
                    var pause = monitor.SaveAsync(message.Text(), memory).GetAwaiter().GetResult();
                    return new WireWriter().U8((byte)MonitorReply.Done).Text(monitor.GuestId).I64((long)pause.TotalMicroseconds);
                }

            case MonitorRequest.Hold:
                using (var held = monitor.HoldAsync(message.Text()).GetAwaiter().GetResult())
                {
                    connection.Send(new WireWriter().U8((byte)MonitorReply.Done).Text(monitor.GuestId).I64((long)held.Pause.TotalMicroseconds)
                        .Text(held.MemoryPath).Bytes(JsonSerializer.SerializeToUtf8Bytes(held.Live, LiveTemplateJson.Default.LiveTemplate)));
                    connection.Receive([]);
                }

                break;
            case MonitorRequest.Statistics:
                return monitor.StatisticsAsync().GetAwaiter().GetResult().Write(new WireWriter().U8((byte)MonitorReply.Done));
            case MonitorRequest.Processes:
                return new WireWriter().U8((byte)MonitorReply.Done)
                    .List(monitor.ProcessesAsync().GetAwaiter().GetResult(), static (writer, process) => process.Write(writer));
            case MonitorRequest.Update:
                monitor.UpdateAsync(message.I64(), message.I64()).GetAwaiter().GetResult();
                break;
            case MonitorRequest.Balloon:
                return new WireWriter().U8((byte)MonitorReply.Done).I64(monitor.BalloonAsync(message.I64()).GetAwaiter().GetResult());
            case MonitorRequest.Status:
                return new WireWriter().U8((byte)MonitorReply.Done).U32((uint)monitor.MachineProcessId);
            default:
                throw HullException.Unsupported("this monitor does not know the request");
        }

        return new WireWriter().U8((byte)MonitorReply.Done);
    }
}
