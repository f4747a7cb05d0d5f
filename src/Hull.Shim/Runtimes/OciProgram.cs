using System.Globalization;
using System.Text;
using Hull.Core;
using Hull.Linux;
using Hull.Linux.Processes;
using Hull.Shim.Protocol;

namespace Hull.Shim.Runtimes;

/// <summary>
/// An OCI runtime driven by its command line, as every runtime of runc's family understands it. The shim is a child
/// subreaper: the container's init, orphaned when the runtime ends, becomes the shim's child.
/// </summary>
internal sealed class OciProgram(CreateMessage create, string directory, Reaper reaper) : IContainerRuntime
{
    private string LogPath => Path.Combine(directory, "runtime.log");

    public void Create(StdioPipes? pipes, Action<Exception?, StartedProcess> done) =>
        StartProcess("create", "init", pipes, ["create", "--bundle", create.Bundle], [create.Id], done);

    public void Start(Action<Exception?> done) =>
        Run(["start", create.Id], null, status => done(status.Succeeded ? null : Failure("start", status)));

    public void Exec(ExecMessage exec, StdioPipes? pipes, Action<Exception?, StartedProcess> done)
    {
        var name = "exec-" + exec.ExecId[..Math.Min(12, exec.ExecId.Length)];
        var process = Path.Combine(directory, name + ".json");
        Hull.Linux.Files.AtomicFile.Write(process, exec.Process, durable: false);
        StartProcess("exec", name, pipes, ["exec", "--detach", "--process", process], [create.Id], (error, started) =>
        {
            Hull.Linux.Files.AtomicFile.Delete(process);
            done(error, started);
        });
    }

    public void Delete(Action done)
    {
        try
        {
            Run(["delete", "--force", create.Id], null, _ => done());
        }
        catch (HullException)
        {
            done();
        }
    }

    /// <summary>Runs a command that makes a process and writes its pid.</summary>
    private void StartProcess(string what, string name, StdioPipes? pipes, string[] command, string[] operands,
        Action<Exception?, StartedProcess> done)
    {
        var pidFile = Path.Combine(directory, name + ".pid");
        var console = pipes is null ? new ConsoleListener(Path.Combine(directory, name + ".tty")) : null;
        string[] terminal = console is null ? [] : ["--console-socket", console.Path];
        try
        {
            Run([.. command, "--pid-file", pidFile, .. terminal, .. operands], pipes, status =>
            {
                using (console) done(Outcome(what, status, pidFile, console, out var started), started);
            });
        }
        catch
        {
            console?.Dispose();
            throw;
        }
    }

    private Exception? Outcome(string what, ExitStatus status, string pidFile, ConsoleListener? console, out StartedProcess started)
    {
        started = default;
        if (!status.Succeeded) return Failure(what, status);
        try
        {
            var pid = int.Parse(Encoding.ASCII.GetString(Hull.Linux.Files.AtomicFile.Read(pidFile, 64)).Trim(), CultureInfo.InvariantCulture);
            Hull.Linux.Files.AtomicFile.Delete(pidFile);
            started = new StartedProcess(pid, console?.Receive());
            return null;
        }
        catch (Exception error) when (error is HullException or FormatException)
        {
            return error;
        }
    }

    private void Run(string[] command, StdioPipes? pipes, Action<ExitStatus> done)
    {
        using var child = ChildProcess.Start(new ChildProcessOptions(create.Runtime,
            [.. create.RuntimeArguments, "--root", create.RuntimeRoot, "--log", LogPath, "--log-format", "json", .. command])
        {
            Stdin = pipes?.Input,
            Stdout = pipes?.Output,
            Stderr = pipes?.Error,
            WorkingDirectory = create.Bundle,
        });
        reaper.Watch(child.Pid, done);
    }

    /// <summary>What the runtime said went wrong.</summary>
    private HullException Failure(string what, ExitStatus status)
    {
        var text = LastMessage();
        if (text.Length == 0) return HullException.Internal($"{what}: {create.Runtime} ended with {status}");
        return new HullException(KindOf(text), text.StartsWith(what, StringComparison.Ordinal) ? text : $"{what}: {text}");
    }

    private static ErrorKind KindOf(string message)
    {
        if (message.Contains("executable file", StringComparison.OrdinalIgnoreCase) && message.Contains("not found", StringComparison.OrdinalIgnoreCase))
            return ErrorKind.CommandNotFound;
        if (message.Contains("no such file or directory", StringComparison.OrdinalIgnoreCase) && message.Contains("exec", StringComparison.OrdinalIgnoreCase))
            return ErrorKind.CommandNotFound;
        return message.Contains("permission denied", StringComparison.OrdinalIgnoreCase) && message.Contains("exec", StringComparison.OrdinalIgnoreCase)
            ? ErrorKind.CommandNotExecutable
            : ErrorKind.Internal;
    }

    /// <summary>The last <c>msg</c> of the runtime's JSON log; no parser, because a shim has none and the form is fixed.</summary>
    private string LastMessage()
    {
        byte[] log;
        try
        {
            log = Hull.Linux.Files.AtomicFile.Read(LogPath, 1 << 20);
        }
        catch (HullException)
        {
            return "";
        }

        var text = Encoding.UTF8.GetString(log);
        var key = text.LastIndexOf("\"msg\":", StringComparison.Ordinal);
        var start = key < 0 ? -1 : text.IndexOf('"', key + 6);
        if (start < 0) return "";
        var message = new StringBuilder();
        for (var i = start + 1; i < text.Length && text[i] != '"'; i++)
        {
            if (text[i] != '\\')
            {
                message.Append(text[i]);
                continue;
            }

            i++;
            if (i < text.Length) message.Append(text[i] is 'n' or 't' or 'r' ? ' ' : text[i]);
        }

        return message.ToString().Trim();
    }
}
