using Hull.Agent.Protocol;
using Hull.Linux;
using Hull.Linux.Files;
using Hull.Linux.Processes;
using Hull.Linux.Syscalls;

namespace Hull.Hypervisor.Monitor;

/// <summary>
/// The monitor process as a supervisor's own child: <c>hull-vm resident</c>, with a socket to the supervisor as descriptor 3.
/// It is told there for which instance it stands and when user code may run, and starts no other program. With the path of a
/// <see cref="WarmRequest"/> it makes a twin ready first, says so, and is a member of a pool until it is told.
/// </summary>
internal static class ResidentMonitor
{
    private const int SupervisorDescriptor = 3;
    private const int StandardStreams = 3;

    public static int Run(string? request = null) => RunAsync(request).GetAwaiter().GetResult();

    private static async Task<int> RunAsync(string? request)
    {
        using var supervisor = new MonitorConnection(new SafeFd(SupervisorDescriptor));
        WarmTwin? warm = null;
        if (request is not null && (warm = await MakeWarmAsync(supervisor, request).ConfigureAwait(false)) is null) return 1;
        List<SafeFd> streams = [];
        // A supervisor that is gone wants no machine any more.
        if (supervisor.Receive(streams) is not { } message) return 0;
        VmMonitor monitor;
        SafeFd listener;
        var directory = "";
        try
        {
            if ((MonitorRequest)message.U8() != MonitorRequest.Create || streams.Count != StandardStreams)
                throw HullException.Unsupported("a resident monitor is first told what to create, with three standard streams");
            var (root, id, bundle) = (message.Text(), message.Text(), message.Text());
            TakeStreams(streams);
            MonitorProgram.TakeTerminal();
            directory = StateDirectory.Make(root, id, bundle);
            StateDirectory.WritePid(directory, Environment.ProcessId);
            listener = MonitorConnection.Listen(directory);
            monitor = await VmMonitor.CreateAsync(id, bundle, warm).ConfigureAwait(false);
        }
        catch (HullException failure)
        {
            if (directory.Length > 0) Directory.Delete(directory, recursive: true);
            Answer(supervisor, MonitorConnection.Failure(failure));
            return 1;
        }

        Answer(supervisor, new WireWriter().U8((byte)MonitorReply.Done));
        var started = new TaskCompletionSource();
        new Thread(() => ServeStart(supervisor, monitor, started)) { IsBackground = true, Name = "supervisor" }.Start();
        var code = await MonitorProgram.ServeAsync(listener, monitor).ConfigureAwait(false);
        // What is over before its start was answered was started all the same.
        await started.Task.ConfigureAwait(false);
        return code;
    }

    private static async Task<WarmTwin?> MakeWarmAsync(MonitorConnection supervisor, string request)
    {
        try
        {
            var asked = AtomicFile.ReadJson(request, WarmRequestJson.Default.WarmRequest);
            // Who waits for the template's process, which is held up while a twin is made of it, waits for this one too.
            ProcessPriority.Set(ProcessPriority.Normal);
            var warm = await WarmTwin.MakeAsync(asked).ConfigureAwait(false);
            Answer(supervisor, new WireWriter().U8((byte)MonitorReply.Done));
            return warm;
        }
        catch (HullException failure)
        {
            Answer(supervisor, MonitorConnection.Failure(failure));
            return null;
        }
    }

    private static void ServeStart(MonitorConnection supervisor, VmMonitor monitor, TaskCompletionSource started)
    {
        if (supervisor.Receive([]) is { } request)
        {
            try
            {
                if ((MonitorRequest)request.U8() != MonitorRequest.Start) throw HullException.Unsupported("a machine that is created can only be started");
                monitor.StartAsync().GetAwaiter().GetResult();
                Answer(supervisor, new WireWriter().U8((byte)MonitorReply.Done));
            }
            catch (HullException failure)
            {
                Answer(supervisor, MonitorConnection.Failure(failure));
            }
        }

        started.SetResult();
    }

    /// <summary>A supervisor that is gone meanwhile learns nothing; the machine runs on until the engine has looked.</summary>
    private static void Answer(MonitorConnection supervisor, WireWriter answer) => SocketCalls.Send(supervisor.Socket.Value, answer.Written.Span);

    private static void TakeStreams(List<SafeFd> streams)
    {
        for (var number = 0; number < StandardStreams; number++)
        {
            Check.Result(FileCalls.Dup3(streams[number].Value, number, 0), $"take a standard stream");
            streams[number].Dispose();
        }
    }
}
