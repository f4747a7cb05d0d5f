using System.Globalization;
using System.Text;

namespace Hull.Registry.Http;

/// <summary>A request nobody should have sent. The connection is closed after the answer.</summary>
public sealed class BadRequestException(int status, string message) : Exception(message)
{
    public int Status { get; } = status;
}

/// <summary>
/// Reads the head of a request (RFC 9112). Strict where leniency lets two servers see two different requests: no
/// folded lines, no blank before a colon, no Content-Length beside Transfer-Encoding, no bare line feeds.
/// </summary>
internal static class HeadParser
{
    public const int MaximumHead = 32 << 10;
    private const int MaximumFields = 100;

    public sealed record Head(string Method, string Path, IReadOnlyDictionary<string, string> Query, HttpHeaders Headers, bool KeepAlive, long? ContentLength, bool Chunked)
    {
        public bool ExpectsContinue => Headers["Expect"]?.Equals("100-continue", StringComparison.OrdinalIgnoreCase) == true;
    }

    /// <summary>Where the head ends in the bytes so far, behind its empty line; -1 where more are needed.</summary>
    public static int FindEnd(ReadOnlySpan<byte> bytes)
    {
        var end = bytes.IndexOf("\r\n\r\n"u8);
        return end < 0 ? -1 : end + 4;
    }

    /// <summary>Reads a complete head; throws <see cref="BadRequestException"/>.</summary>
    public static Head Parse(ReadOnlySpan<byte> bytes)
    {
        var text = bytes[..^4];
        foreach (var b in text)
        {
            if (b is 0 or >= 0x80) throw Bad("the head has bytes that are not ASCII");
        }

        var lines = Encoding.ASCII.GetString(text).Split("\r\n");
        var (method, target, version) = RequestLine(lines[0]);
        var headers = Fields(lines);
        var (path, query) = Target(target);
        var (length, chunked) = Framing(headers, version);
        if (version == "HTTP/1.1" && headers.CountOf("Host") != 1) throw Bad("a request has exactly one Host");
        var connection = headers.All("Connection") ?? "";
        var keepAlive = version == "HTTP/1.1"
            ? !connection.Contains("close", StringComparison.OrdinalIgnoreCase)
            : connection.Contains("keep-alive", StringComparison.OrdinalIgnoreCase);
        return new Head(method, path, query, headers, keepAlive, length, chunked);
    }

    private static (string Method, string Target, string Version) RequestLine(string line)
    {
        var parts = line.Split(' ');
        if (parts.Length != 3 || parts[0].Length is 0 or > 16 || !parts[0].All(char.IsAsciiLetterUpper)) throw Bad("the request line cannot be read");
        if (parts[2] is not ("HTTP/1.1" or "HTTP/1.0")) throw new BadRequestException(505, "only HTTP/1.1 and 1.0 are spoken here");
        return (parts[0], parts[1], parts[2]);
    }

    private static HttpHeaders Fields(string[] lines)
    {
        if (lines.Length - 1 > MaximumFields) throw new BadRequestException(431, "too many header fields");
        var headers = new HttpHeaders();
        foreach (var line in lines.AsSpan(1))
        {
            var colon = line.IndexOf(':');
            if (colon <= 0 || !line.AsSpan(0, colon).ContainsOnlyToken()) throw Bad("a header field cannot be read");
            var value = line[(colon + 1)..].Trim(' ', '\t');
            if (value.Any(c => char.IsControl(c) && c != '\t')) throw Bad("a header field has control characters");
            headers.Add(line[..colon], value);
        }

        return headers;
    }

    private static bool ContainsOnlyToken(this ReadOnlySpan<char> name)
    {
        foreach (var c in name)
        {
            if (!char.IsAsciiLetterOrDigit(c) && !"!#$%&'*+-.^_`|~".Contains(c)) return false;
        }

        return true;
    }

    private static (long? Length, bool Chunked) Framing(HttpHeaders headers, string version)
    {
        var lengths = headers.CountOf("Content-Length");
        if (headers.All("Transfer-Encoding") is { } encoding)
        {
            if (lengths > 0 || version != "HTTP/1.1") throw Bad("Transfer-Encoding does not go with Content-Length or HTTP/1.0");
            return encoding.Equals("chunked", StringComparison.OrdinalIgnoreCase) ? (null, true) : throw new BadRequestException(501, "only the chunked transfer coding is known here");
        }

        if (lengths == 0) return (0, false);
        if (lengths > 1 || !long.TryParse(headers["Content-Length"], NumberStyles.None, CultureInfo.InvariantCulture, out var length))
            throw Bad("Content-Length cannot be read");
        return (length, false);
    }

    private static (string Path, IReadOnlyDictionary<string, string> Query) Target(string target)
    {
        // The absolute form is for proxies, but servers must accept it (RFC 9112, 3.2.2).
        if (target.StartsWith("http://", StringComparison.Ordinal) || target.StartsWith("https://", StringComparison.Ordinal))
        {
            var slash = target.IndexOf('/', target.IndexOf("//", StringComparison.Ordinal) + 2);
            target = slash < 0 ? "/" : target[slash..];
        }

        if (!target.StartsWith('/')) throw Bad("the target is not a path");
        var mark = target.IndexOf('?', StringComparison.Ordinal);
        return (Decode(mark < 0 ? target : target[..mark], plusIsBlank: false), mark < 0 ? EmptyQuery : Query(target[(mark + 1)..]));
    }

    private static readonly IReadOnlyDictionary<string, string> EmptyQuery = new Dictionary<string, string>();

    private static Dictionary<string, string> Query(string text)
    {
        var query = new Dictionary<string, string>(StringComparer.Ordinal);
        foreach (var part in text.Split('&', StringSplitOptions.RemoveEmptyEntries).Take(MaximumFields))
        {
            var equals = part.IndexOf('=', StringComparison.Ordinal);
            var name = Decode(equals < 0 ? part : part[..equals], plusIsBlank: true);
            query.TryAdd(name, equals < 0 ? "" : Decode(part[(equals + 1)..], plusIsBlank: true));
        }

        return query;
    }

    private static string Decode(string text, bool plusIsBlank)
    {
        if (plusIsBlank) text = text.Replace('+', ' ');
        if (!text.Contains('%', StringComparison.Ordinal)) return text;
        var decoded = Uri.UnescapeDataString(text);
        return decoded.Contains('\0', StringComparison.Ordinal) ? throw Bad("the target has a zero byte") : decoded;
    }

    private static BadRequestException Bad(string message) => new(400, message);
}
