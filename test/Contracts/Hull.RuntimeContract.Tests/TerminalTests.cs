using System.Net.Sockets;
using Hull.Linux;
using Hull.Linux.Syscalls;
using Hull.Testing;

namespace Hull.RuntimeContract.Tests;

/// <summary>Terminals: config.md, "Process"; the console socket as engines use it.</summary>
public sealed class TerminalTests
{
    [Theory, Runtimes]
    public void CreateSendsTheTerminalToTheSocket(string runtime)
    {
        using var container = new Container(runtime);
        using var console = new ConsoleListener(container.Outside("tty.sock"));
        container.Spec.Set("process.terminal", "true").Set("process.consoleSize", """{"height":30,"width":100}""").Script("tty; stty size; echo typed $(head -n 1)");
        container.Create("--console-socket", container.Outside("tty.sock")).Ok();
        using var terminal = console.Receive();
        container.Start().Ok();
        terminal.Write("hello\n"u8);
        Assert.Contains("typed hello", ConsoleListener.ReadUntil(terminal, "typed hello"));
    }

    [Theory, Runtimes]
    public void TheTerminalIsOfTheContainer(string runtime)
    {
        using var container = new Container(runtime);
        using var console = new ConsoleListener(container.Outside("tty.sock"));
        container.Spec.Set("process.terminal", "true").Set("process.consoleSize", """{"height":30,"width":100}""").Script("tty; stty size; stat -c %t:%T /dev/console; echo end");
        container.Create("--console-socket", container.Outside("tty.sock")).Ok();
        using var terminal = console.Receive();
        container.Start().Ok();
        var output = ConsoleListener.ReadUntil(terminal, "end");
        Assert.Contains("/dev/pts/0", output);
        Assert.Contains("30 100", output);
        Assert.Contains("88:0", output);
    }

    [Theory, Runtimes]
    public void ExecSendsItsTerminalToo(string runtime)
    {
        using var container = new Container(runtime).StartSleeping();
        using var console = new ConsoleListener(container.Outside("tty.sock"));
        container.Call("exec", "--tty", "--detach", "--console-socket", container.Outside("tty.sock"), container.Id, "sh", "-c", "tty; echo end; sleep 1000").Ok();
        using var terminal = console.Receive();
        Assert.Contains("/dev/pts/", ConsoleListener.ReadUntil(terminal, "end"));
    }

    [Theory, Runtimes]
    public void CreateWithATerminalNeedsASocket(string runtime)
    {
        using var container = new Container(runtime);
        container.Spec.Set("process.terminal", "true");
        Assert.NotEqual(0, container.Create().ExitCode);
        container.AssertNothingIsLeft();
    }

    [Theory, Runtimes(NotCrun = "1.8 takes it and goes on")]
    public void ASocketWithoutATerminalIsRefused(string runtime)
    {
        using var container = new Container(runtime);
        using var console = new ConsoleListener(container.Outside("tty.sock"));
        Assert.NotEqual(0, container.Create("--console-socket", container.Outside("tty.sock")).ExitCode);
        container.AssertNothingIsLeft();
    }

    [Theory, Runtimes]
    public void RunInTheForegroundUsesTheCallersTerminal(string runtime)
    {
        using var container = new Container(runtime);
        container.Spec.Set("process.terminal", "true").Script("tty; [ -t 0 ] && [ -t 1 ] && echo both");
        container.WriteSpec();
        // script(1) gives the runtime a terminal of its own.
        var result = Command.Run(Require.Program("script"), "-qec",
            $"{container.Runtime.Path} --root {container.StateRoot} run --bundle {container.Bundle} {container.Id}", "/dev/null");
        Assert.Contains("/dev/pts/0", result.Output);
        Assert.Contains("both", result.Output);
    }
}

/// <summary>The engine's end of a console socket: takes the master of a terminal.</summary>
internal sealed class ConsoleListener : IDisposable
{
    private readonly Socket _listener = new(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);

    internal ConsoleListener(string path)
    {
        _listener.Bind(new UnixDomainSocketEndPoint(path));
        _listener.Listen();
    }

    internal FileStream Receive()
    {
        _listener.Blocking = true;
        if (!_listener.Poll(TimeSpan.FromSeconds(20), SelectMode.SelectRead)) throw new TimeoutException("nobody connected to the console socket");
        using var connection = _listener.Accept();
        var received = new List<SafeFd>();
        SocketCalls.Receive((int)connection.Handle, new byte[4096], received);
        return Assert.Single(received).ToStream(FileAccess.ReadWrite);
    }

    internal static string ReadUntil(FileStream terminal, string end)
    {
        var text = "";
        var buffer = new byte[4096];
        var reader = Task.Run(() =>
        {
            try
            {
                int count;
                while (!text.Contains(end) && (count = terminal.Read(buffer)) > 0) text += System.Text.Encoding.UTF8.GetString(buffer, 0, count);
            }
            catch (IOException)
            {
                // The last process closed its side: EIO is the end of a terminal.
            }
        });
        Assert.True(reader.Wait(TimeSpan.FromSeconds(20)), "the terminal said only: " + text);
        return text;
    }

    public void Dispose() => _listener.Dispose();
}
