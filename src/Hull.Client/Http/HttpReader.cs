using System.Globalization;
using System.Text;
using Hull.Core;

namespace Hull.Client.Http;

/// <summary>
/// The receiving half of HTTP/1.1 (RFC 9112) over a blocking stream. It reads no byte beyond the message, except
/// into its buffer, which the hijacked stream hands on: that is what general HTTP clients do not offer and what
/// attach and exec need.
/// </summary>
internal sealed class HttpReader(Stream stream)
{
    private const int MaximumHead = 64 * 1024;
    private readonly byte[] buffer = new byte[16 * 1024];
    private int start;
    private int end;

    /// <summary>Reads buffered bytes first, then from the stream; 0 at its end.</summary>
    public int Read(Span<byte> target)
    {
        if (target.Length == 0) return 0;
        if (start == end)
        {
            if (target.Length >= buffer.Length) return stream.Read(target);
            Fill();
            if (start == end) return 0;
        }

        var count = Math.Min(target.Length, end - start);
        buffer.AsSpan(start, count).CopyTo(target);
        start += count;
        return count;
    }

    /// <summary>Reads a status line and the headers after it.</summary>
    public HttpHead ReadHead()
    {
        var budget = MaximumHead;
        var status = ReadLine(ref budget);
        if (status.Length < 12 || !status.StartsWith("HTTP/1.", StringComparison.Ordinal)
            || !int.TryParse(status.AsSpan(9, 3), NumberStyles.None, CultureInfo.InvariantCulture, out var code))
        {
            throw Malformed("it does not speak HTTP");
        }

        var headers = new Dictionary<string, string>(StringComparer.OrdinalIgnoreCase);
        for (var line = ReadLine(ref budget); line.Length > 0; line = ReadLine(ref budget))
        {
            var colon = line.IndexOf(':', StringComparison.Ordinal);
            if (colon > 0) headers[line[..colon]] = line[(colon + 1)..].Trim();
        }

        return new HttpHead(code, headers);
    }

    /// <summary>Reads one line without its CRLF; takes its length off <paramref name="budget"/>.</summary>
    public string ReadLine(ref int budget)
    {
        var line = new StringBuilder();
        while (true)
        {
            if (start == end)
            {
                Fill();
                if (start == end) throw new HullException(ErrorKind.Unavailable, "the engine closed the connection before it answered");
            }

            var at = buffer.AsSpan(start, end - start).IndexOf((byte)'\n');
            var count = at < 0 ? end - start : at + 1;
            budget -= count;
            if (budget < 0) throw Malformed("its header is too long");
            line.Append(Encoding.Latin1.GetString(buffer, start, count));
            start += count;
            if (at >= 0) return line.ToString().TrimEnd('\n').TrimEnd('\r');
        }
    }

    public static HullException Malformed(string why) => HullException.Internal($"the engine's answer cannot be read: {why}");

    private void Fill()
    {
        start = 0;
        end = stream.Read(buffer);
    }
}

/// <summary>Status and headers of an answer.</summary>
internal sealed record HttpHead(int Status, Dictionary<string, string> Headers)
{
    public string? this[string name] => Headers.GetValueOrDefault(name);
}
