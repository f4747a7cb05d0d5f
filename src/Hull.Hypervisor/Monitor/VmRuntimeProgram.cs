using System.Globalization;
using System.Text;
using System.Text.Encodings.Web;
using System.Text.Json;
using Hull.Agent.Protocol;
using Hull.Linux;
using Hull.Linux.Abi;
using Hull.Linux.Cgroups;
using Hull.Linux.Files;
using Hull.Linux.Processes;
using Hull.Linux.Syscalls;
using Hull.Linux.Terminals;

namespace Hull.Hypervisor.Monitor;

/// <summary>
/// The program hull-vm: an OCI runtime whose containers are virtual machines. It has the command line of runc, so that
/// whatever supervises containers through such a program supervises machines the same way: the process that <c>create</c>
/// leaves behind stands for the container's init, has its standard streams, takes its signals and ends with its exit code.
/// </summary>
public static class VmRuntimeProgram
{
    private const int KillSignal = 9;

    public static int Run(IReadOnlyList<string> arguments)
    {
        if (arguments.Count == 4 && arguments[0] == "monitor") return MonitorProgram.Run(arguments[1], arguments[2], arguments[3]);
        if (arguments.Count is 1 or 2 && arguments[0] == "resident") return ResidentMonitor.Run(arguments.ElementAtOrDefault(1));
        if (arguments.Count == 2 && arguments[0] == "live") return LiveTemplateProgram.Run(arguments[1]);
        if (arguments.Count == 4 && arguments[0] == "exec-monitor") return ExecMonitor.Run(arguments[1], arguments[2], arguments[3]);
        VmRuntimeOptions? options = null;
        try
        {
            options = VmRuntimeOptions.Parse(arguments);
            Dispatch(options);
            return 0;
        }
        catch (HullException failure)
        {
            Complain(options, failure.FullMessage);
            return ErrorMapping.ToExitCode(failure.Kind);
        }
    }

    private static void Dispatch(VmRuntimeOptions options)
    {
        switch (options.Command)
        {
            case "create": Create(options); break;
            case "start": Ask(options, new WireWriter().U8((byte)MonitorRequest.Start)); break;
            case "kill": Kill(options); break;
            case "exec": Exec(options); break;
            case "state": WriteState(options); break;
            case "delete": Delete(options); break;
            case "pause": CgroupOf(options).Freeze(); break;
            case "resume": CgroupOf(options).Thaw(); break;
            case "" when options.Has("--version", "-v"): Say("hull-vm version 0.1.0\nspec: 1.2.0\n"); break;
            default: throw HullException.Invalid($"unknown command '{options.Command}': expected create, start, state, kill, exec, pause, resume or delete");
        }
    }

    private static void Create(VmRuntimeOptions options)
    {
        var bundle = Path.GetFullPath(options.Value("--bundle") ?? options.Value("-b") ?? ".");
        var directory = StateDirectory.Make(options.Root, options.Id, bundle);
        try
        {
            if (!File.Exists(Path.Combine(bundle, VmBundle.FileName)))
                throw HullException.Unsupported($"bundle {bundle} has no {VmBundle.FileName}: machines are made for bundles of hulld");
            StateDirectory.WritePid(directory, Launch(options, ["monitor", directory, bundle, options.Id]));
        }
        catch
        {
            Directory.Delete(directory, recursive: true);
            throw;
        }
    }

    private static void Exec(VmRuntimeOptions options)
    {
        var process = AtomicFile.Read(options.Require("--process"));
        var directory = Path.Combine(options.Root, options.Id);
        var execId = RandomId.New()[..16];
        AtomicFile.Write(Path.Combine(directory, execId + ".json"), process, durable: false);
        try
        {
            Launch(options, ["exec-monitor", directory, execId, IsTerminal(process) ? "terminal" : "pipes"]);
        }
        finally
        {
            AtomicFile.Delete(Path.Combine(directory, execId + ".json"));
        }
    }

    /// <summary>Starts this program again as a process that stays, waits until it says how it went, and answers its pid.</summary>
    private static int Launch(VmRuntimeOptions options, IReadOnlyList<string> arguments)
    {
        var consoleSocket = options.Value("--console-socket");
        using var terminal = consoleSocket is null ? null : PseudoTerminal.Create();
        var (readyRead, readyWrite) = FileCalls.Pipe();
        using var _ = readyRead;
        ChildProcess child;
        using (readyWrite)
        {
            child = ChildProcess.Start(new ChildProcessOptions(Environment.ProcessPath ?? "/proc/self/exe", arguments)
            {
                Stdin = terminal?.Slave ?? SafeFd.Borrow(0),
                Stdout = terminal?.Slave ?? SafeFd.Borrow(1),
                Stderr = terminal?.Slave ?? SafeFd.Borrow(2),
                ExtraDescriptors = [readyWrite],
                NewSession = true,
            });
        }

        using (child)
        {
            if (consoleSocket is not null) SendTerminal(consoleSocket, terminal!.Master);
            Expect(readyRead, child);
            if (options.Value("--pid-file") is { } pidFile)
                AtomicFile.Write(pidFile, Encoding.ASCII.GetBytes(child.Pid.ToString(CultureInfo.InvariantCulture)), durable: false);
            return child.Pid;
        }
    }

    private static void Expect(SafeFd ready, ChildProcess child)
    {
        var buffer = new byte[64 * 1024];
        var length = 0;
        nint count;
        while (length < buffer.Length && (count = FileCalls.Read(ready.Value, buffer.AsSpan(length))) > 0) length += (int)count;
        if (length == 0) throw HullException.Internal($"the machine's monitor ended with {child.Wait()}");
        var reader = new WireReader(buffer.AsMemory(0, length));
        if ((MonitorReply)reader.U8() == MonitorReply.Done) return;
        child.Wait();
        throw new HullException((ErrorKind)reader.U32(), reader.Text());
    }

    private static void SendTerminal(string socketPath, SafeFd master)
    {
        using var socket = SocketCalls.ConnectUnix(socketPath);
        Check.Result(SocketCalls.Send(socket.Value, "tty"u8, [master.Value]), $"send the terminal to {socketPath}");
    }

    private static void Kill(VmRuntimeOptions options)
    {
        var signal = options.Operands.Count > 1 ? ParseSignal(options.Operands[1]) : 15;
        if (signal == KillSignal || options.Has("--all", "-a"))
        {
            KillMonitor(options);
            return;
        }

        Ask(options, new WireWriter().U8((byte)MonitorRequest.Signal).Text("").U32((uint)signal));
    }

    private static void KillMonitor(VmRuntimeOptions options)
    {
        if (ReadPid(options) is { } pid) ProcessCalls.Kill(pid, KillSignal);
        CgroupOf(options).Kill(KillSignal);
    }

    private static void Delete(VmRuntimeOptions options)
    {
        var directory = Path.Combine(options.Root, options.Id);
        var force = options.Has("--force", "-f");
        if (!Directory.Exists(directory))
        {
            if (force) return;
            throw HullException.NotFound($"no container {options.Id}");
        }

        if (!force && IsRunning(options)) throw HullException.Conflict($"container {options.Id} runs: kill it first, or use --force");
        KillMonitor(options);
        CgroupOf(options).Remove();
        Directory.Delete(directory, recursive: true);
    }

    private static void WriteState(VmRuntimeOptions options)
    {
        var directory = Path.Combine(options.Root, options.Id);
        if (!Directory.Exists(directory)) throw HullException.NotFound($"no container {options.Id}");
        var running = IsRunning(options);
        using var buffer = new MemoryStream();
        using (var json = new Utf8JsonWriter(buffer))
        {
            json.WriteStartObject();
            json.WriteString("ociVersion", "1.2.0");
            json.WriteString("id", options.Id);
            json.WriteString("status", running ? "running" : "stopped");
            json.WriteNumber("pid", running ? ReadPid(options) ?? 0 : 0);
            json.WriteString("bundle", BundleOf(options));
            json.WriteEndObject();
        }

        Say(Encoding.UTF8.GetString(buffer.ToArray()) + "\n");
    }

    private static void Ask(VmRuntimeOptions options, WireWriter request)
    {
        using var connection = MonitorConnection.Open(Path.Combine(options.Root, options.Id));
        connection.Request(request);
    }

    private static bool IsRunning(VmRuntimeOptions options)
    {
        try
        {
            Ask(options, new WireWriter().U8((byte)MonitorRequest.Status));
            return true;
        }
        catch (HullException)
        {
            return false;
        }
    }

    private static int? ReadPid(VmRuntimeOptions options)
    {
        // The number is only good while the monitor holds its socket: afterwards it may be another process's.
        return IsRunning(options) ? StateDirectory.ReadPid(Path.Combine(options.Root, options.Id)) : null;
    }

    private static string BundleOf(VmRuntimeOptions options) => StateDirectory.ReadBundle(Path.Combine(options.Root, options.Id));

    private static ICgroup CgroupOf(VmRuntimeOptions options)
    {
        var spec = Oci.Runtime.RuntimeDocuments.ParseSpec(AtomicFile.Read(Path.Combine(BundleOf(options), "config.json")), "config.json");
        return CgroupManager.Name(options.Id, spec.Linux?.CgroupsPath);
    }

    private static bool IsTerminal(byte[] process)
    {
        using var document = JsonDocument.Parse(process);
        return document.RootElement.TryGetProperty("terminal", out var terminal) && terminal.GetBoolean();
    }

    private static int ParseSignal(string text)
    {
        if (int.TryParse(text, CultureInfo.InvariantCulture, out var number)) return number;
        string[] names = ["HUP", "INT", "QUIT", "ILL", "TRAP", "ABRT", "BUS", "FPE", "KILL", "USR1", "SEGV", "USR2", "PIPE", "ALRM", "TERM"];
        var index = Array.IndexOf(names, text.StartsWith("SIG", StringComparison.Ordinal) ? text[3..] : text);
        return index >= 0 ? index + 1 : throw HullException.Invalid($"unknown signal '{text}'");
    }

    private static void Complain(VmRuntimeOptions? options, string message)
    {
        Write(2, $"hull-vm: {message}\n");
        if (options?.Log is null) return;
        var line = options.JsonLog
            ? $"{{\"level\":\"error\",\"msg\":\"{JsonEncodedText.Encode(message, JavaScriptEncoder.UnsafeRelaxedJsonEscaping)}\",\"time\":\"{TimeProvider.System.GetUtcNow():O}\"}}\n"
            : $"{message}\n";
        using var log = Check.Descriptor(
            FileCalls.OpenAt(Fcntl.AT_FDCWD, options.Log, Fcntl.O_WRONLY | Fcntl.O_CREAT | Fcntl.O_APPEND, 0x180), $"open {options.Log}");
        FileCalls.Write(log.Value, Encoding.UTF8.GetBytes(line));
    }

    private static void Say(string text) => Write(1, text);

    private static void Write(int descriptor, string text) => FileCalls.Write(descriptor, Encoding.UTF8.GetBytes(text));
}
