// Hull.Linux.Processes is not there on Windows and macOS, where this client runs too.
#pragma warning disable RS0030
using System.Diagnostics;
using Hull.Core;

namespace Hull.Client.Transports;

/// <summary>
/// Reaches an engine through <c>ssh HOST hull dial-stdio</c>: the user's own ssh, with its keys, agent, jump hosts
/// and known hosts, carries the bytes of the engine's unix socket.
/// </summary>
internal static class SshTransport
{
    public static Connection Open(EngineEndpoint endpoint)
    {
        var start = new ProcessStartInfo("ssh") { RedirectStandardInput = true, RedirectStandardOutput = true };
        start.ArgumentList.Add("-T");
        if (endpoint.User is { } user) Add(start, "-l", user);
        if (endpoint.Port != 0) Add(start, "-p", endpoint.Port.ToString(System.Globalization.CultureInfo.InvariantCulture));
        Add(start, "--", endpoint.Address);
        Add(start, "hull", "dial-stdio");
        Process process;
        try
        {
            process = Process.Start(start) ?? throw new HullException(ErrorKind.Unavailable, "ssh did not start");
        }
        catch (System.ComponentModel.Win32Exception e)
        {
            throw new HullException(ErrorKind.Unavailable, $"ssh is needed to reach {endpoint} and does not start: install an ssh client", e);
        }

        var stream = new DuplexStream(process.StandardOutput.BaseStream, process.StandardInput.BaseStream, process);
        return new Connection(stream, process.StandardInput.BaseStream.Dispose);
    }

    private static void Add(ProcessStartInfo start, string first, string second)
    {
        start.ArgumentList.Add(first);
        start.ArgumentList.Add(second);
    }

    /// <summary>Two pipes as one stream; disposing it ends the program behind them.</summary>
    private sealed class DuplexStream(Stream input, Stream output, Process process) : Stream
    {
        public override bool CanRead => true;

        public override bool CanWrite => true;

        public override bool CanSeek => false;

        public override long Length => throw new NotSupportedException();

        public override long Position
        {
            get => throw new NotSupportedException();
            set => throw new NotSupportedException();
        }

        public override int Read(byte[] buffer, int offset, int count) => input.Read(buffer, offset, count);

        public override int Read(Span<byte> buffer) => input.Read(buffer);

        public override void Write(byte[] buffer, int offset, int count) => Write(buffer.AsSpan(offset, count));

        public override void Write(ReadOnlySpan<byte> buffer)
        {
            output.Write(buffer);
            output.Flush();
        }

        public override void Flush() => output.Flush();

        public override long Seek(long offset, SeekOrigin origin) => throw new NotSupportedException();

        public override void SetLength(long value) => throw new NotSupportedException();

        protected override void Dispose(bool disposing)
        {
            if (disposing)
            {
                input.Dispose();
                output.Dispose();
                process.Dispose();
            }

            base.Dispose(disposing);
        }
    }
}
