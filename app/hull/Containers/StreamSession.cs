using System.Buffers.Binary;
using System.Runtime.InteropServices;
using Hull.Cli.Verbs;
using Hull.Client;
using Hull.Core;

namespace Hull.Cli.Containers;

/// <summary>
/// The terminal's side of an attached process: its output to ours, our input, window size and signals to it. Output is
/// written by the calling thread, input by one other; both block, and end with the connection.
/// </summary>
internal sealed class StreamSession(Invocation call, HijackedStream stream) : IDisposable
{
    private const byte ErrorStream = 2;
    private const byte EngineStream = 3;

    /// <summary>Only on Hull's own run stream: the exit code as four bytes.</summary>
    private const byte ExitStream = 4;

    private readonly List<PosixSignalRegistration> registrations = [];
    private IDisposable? raw;

    /// <summary>The exit code, where the stream carried it.</summary>
    public int? ExitCode { get; private set; }

    /// <summary>Sends standard input; ends the process' input where ours ends.</summary>
    public void ForwardInput()
    {
        var thread = new Thread(CopyInput, 64 * 1024) { IsBackground = true, Name = "input" };
        thread.Start();
    }

    /// <summary>Puts our terminal into raw mode and keeps the process' terminal at our size.</summary>
    public void UseTerminal(string resizePath)
    {
        raw = TerminalMode.EnterRaw();
        if (OperatingSystem.IsWindows())
        {
            Resize(resizePath);
            return;
        }

        registrations.Add(PosixSignalRegistration.Create(PosixSignal.SIGWINCH, _ => Resize(resizePath)));
        Resize(resizePath);
    }

    /// <summary>Hands the signals we get to the process instead of ending by them.</summary>
    public void ForwardSignals(string killPath)
    {
        foreach (var signal in new[] { PosixSignal.SIGINT, PosixSignal.SIGTERM, PosixSignal.SIGHUP, PosixSignal.SIGQUIT })
        {
            if (OperatingSystem.IsWindows() && signal is PosixSignal.SIGHUP) continue;
            registrations.Add(PosixSignalRegistration.Create(signal, context =>
            {
                context.Cancel = true;
                SendQuietly(killPath + "?signal=" + signal);
            }));
        }
    }

    /// <summary>Copies output until it ends.</summary>
    public void CopyOutput(bool framed)
    {
        using var output = Console.OpenStandardOutput();
        using var error = Console.OpenStandardError();
        if (framed) CopyFrames(output, error);
        else CopyRaw(output);
    }

    public void Dispose()
    {
        foreach (var registration in registrations) registration.Dispose();
        raw?.Dispose();
        stream.Dispose();
    }

    private void CopyRaw(Stream output)
    {
        var buffer = new byte[16 * 1024];
        int count;
        while ((count = stream.Read(buffer)) > 0)
        {
            output.Write(buffer, 0, count);
            output.Flush();
        }
    }

    private void CopyFrames(Stream output, Stream error)
    {
        Span<byte> header = stackalloc byte[8];
        var buffer = new byte[32 * 1024];
        while (ReadFull(header))
        {
            var length = BinaryPrimitives.ReadInt32BigEndian(header[4..]);
            if (length < 0) throw HullException.Internal("the engine's stream cannot be read: a frame has no length");
            if (header[0] == ExitStream && length == 4)
            {
                ReadFull(header[..4]);
                ExitCode = BinaryPrimitives.ReadInt32BigEndian(header);
                continue;
            }

            var target = header[0] is ErrorStream or EngineStream ? error : output;
            while (length > 0)
            {
                var count = stream.Read(buffer.AsSpan(0, Math.Min(length, buffer.Length)));
                if (count == 0) return;
                target.Write(buffer, 0, count);
                length -= count;
            }

            target.Flush();
        }
    }

    private bool ReadFull(Span<byte> target)
    {
        var at = 0;
        while (at < target.Length)
        {
            var count = stream.Read(target[at..]);
            if (count == 0) return false;
            at += count;
        }

        return true;
    }

    private void CopyInput()
    {
        try
        {
            using var input = Console.OpenStandardInput();
            var buffer = new byte[16 * 1024];
            int count;
            while ((count = input.Read(buffer, 0, buffer.Length)) > 0) stream.Write(buffer.AsSpan(0, count));
            stream.FinishWriting();
        }
        catch (Exception e) when (e is IOException or ObjectDisposedException or System.Net.Sockets.SocketException)
        {
            // The process has ended, or reads no more.
        }
    }

    private void Resize(string path)
    {
        var (columns, rows) = TerminalMode.Size();
        if (columns > 0 && rows > 0) SendQuietly($"{path}?h={rows}&w={columns}");
    }

    /// <summary>A connection of its own: the session's is a stream by now. The process may end meanwhile.</summary>
    private void SendQuietly(string path)
    {
        try
        {
            using var engine = new EngineClient(call.Endpoint, LocalSocket.Dialer);
            engine.Call("POST", path);
        }
        catch (HullException)
        {
            // It is not running any more, or not yet.
        }
    }
}
