using Hull.Cli.Verbs;

namespace Hull.Cli.Vm;

/// <summary><c>hull vm console</c>: our terminal on a machine's serial port, until Ctrl-] or the end of either.</summary>
internal sealed class ConsoleVerb : Verb
{
    private const byte Escape = 0x1D; // Ctrl-], as telnet(1) and virsh(1) have it

    public override string Usage => "vm console MACHINE";

    public override int Run(Invocation call)
    {
        call.Expect(1, 1);
        using var stream = call.Engine.Hijack(MachineClient.Path(call.Arguments[0], "/console"), raw: true);
        if (TerminalMode.IsInputTerminal) call.Error.WriteLine($"Connected to {call.Arguments[0]}; Ctrl-] leaves.\r");
        call.Error.Flush();
        using var raw = TerminalMode.IsInputTerminal ? TerminalMode.EnterRaw() : null;
        new Thread(() => CopyInput(stream), 64 * 1024) { IsBackground = true, Name = "input" }.Start();
        using var output = Console.OpenStandardOutput();
        var buffer = new byte[16 * 1024];
        int count;
        try
        {
            while ((count = stream.Read(buffer)) > 0)
            {
                output.Write(buffer, 0, count);
                output.Flush();
            }
        }
        catch (Exception end) when (end is IOException or ObjectDisposedException)
        {
            // Left by Ctrl-], or the machine ended.
        }

        return 0;
    }

    private static void CopyInput(Client.HijackedStream stream)
    {
        using var input = Console.OpenStandardInput();
        var buffer = new byte[1024];
        int count;
        try
        {
            while ((count = input.Read(buffer)) > 0)
            {
                var escape = Array.IndexOf(buffer, Escape, 0, count);
                if (escape != 0) stream.Write(buffer.AsSpan(0, escape < 0 ? count : escape));
                if (escape < 0) continue;
                stream.Dispose();
                return;
            }

            stream.FinishWriting();
        }
        catch (Exception end) when (end is IOException or ObjectDisposedException)
        {
            // The other way ended first.
        }
    }
}
