using System.Runtime.InteropServices;
using System.Text;
using Hull.Core;
using Hull.Linux;
using Hull.Linux.Processes;
using Hull.Linux.Syscalls;

// The first process of a container that asked for one: starts the program, hands signals on to it, collects orphans, and
// ends as the program ended. Usage: hull-init -- PROGRAM [ARGUMENT]...
int[] forwarded = [1, 2, 3, 10, 12, 15, 18, 20, 21, 22, 28];

var command = args is ["--", .. var rest] ? rest : args;
if (command.Length == 0)
{
    Complain("usage: hull-init -- PROGRAM [ARGUMENT]...");
    return 2;
}

var child = 0;
var registrations = new List<PosixSignalRegistration>();
foreach (var signal in forwarded)
{
    // A process that is number 1 gets no signal it has no handler for, so each needs one.
    registrations.Add(PosixSignalRegistration.Create((PosixSignal)signal, context =>
    {
        context.Cancel = true;
        if (Volatile.Read(ref child) is > 0 and var pid) _ = ProcessCalls.Kill(pid, signal);
    }));
}

try
{
    using var process = ChildProcess.Start(new ChildProcessOptions(command[0], command[1..])
    {
        Stdin = SafeFd.Borrow(0),
        Stdout = SafeFd.Borrow(1),
        Stderr = SafeFd.Borrow(2),
    });
    Volatile.Write(ref child, process.Pid);
    while (true)
    {
        var pid = (int)Check.Result(ProcessCalls.Wait(-1, 0, out var status), $"wait for {command[0]}");
        if (pid == child) return ExitStatus.FromWaitStatus(status).ShellCode;
    }
}
catch (HullException error)
{
    Complain(error.FullMessage);
    return ErrorMapping.ToExitCode(error.Kind);
}
finally
{
    foreach (var registration in registrations) registration.Dispose();
}

static void Complain(string message) => FileCalls.Write(2, Encoding.UTF8.GetBytes($"hull-init: {message}\n"));
