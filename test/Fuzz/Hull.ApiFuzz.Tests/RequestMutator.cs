using System.Globalization;
using System.Text;
using Hull.RuntimeFuzz.Tests;

namespace Hull.ApiFuzz.Tests;

/// <summary>Makes wrong requests out of right ones, each in one or a few places.</summary>
internal sealed class RequestMutator(int seed)
{
    private static readonly string[] s_words =
    [
        "", "-1", "0", "18446744073709551616", "%00", "%2e%2e", "..", "../..", "%2F", "//", "a%", "%zz", "null", "true", "[]", "{", "{\"a\":1}", "%7B%22a%22%3A1%7D", "%7B%22label%22%3A%7B%22a%22%3Afalse%7D%7D",
        "%ff%fe", "ä", "\u202e", "c1", "fz", "busybox", "sha256:0", new('x', 4000), new('%', 300), "1h", "2006-01-02T15:04:05Z", "1e308", "NaN", "ctrl-", "SIGRTMAX+99", "*", "?", "#", "\t",
    ];

    private static readonly string[] s_headers =
    [
        "Content-Length: -1", "Content-Length: 99999999999999999999", "Content-Length: 5\r\nContent-Length: 6", "Transfer-Encoding: chunked", "Transfer-Encoding: gzip, chunked", "Transfer-Encoding: x",
        "Expect: 100-continue", "Upgrade: tcp\r\nConnection: Upgrade", "Upgrade: h2c\r\nConnection: Upgrade, HTTP2-Settings\r\nHTTP2-Settings: x", "Upgrade: websocket\r\nConnection: upgrade",
        "X-Registry-Auth: !!!", "X-Registry-Auth: eyJ", "X-Registry-Config: e30=", "Authorization: Bearer x", "Content-Type: text/plain", "Content-Encoding: gzip", "Host:", "Host: a\r\nHost: b", "Bad Header: x", ": x",
        "X: \0", "Connection: close", "Range: bytes=0-1", "Accept-Encoding: gzip",
    ];

    private readonly Random _random = new(seed);

    public byte[] Next()
    {
        var start = Corpus.Seeds[_random.Next(Corpus.Seeds.Count)];
        var (method, path, version) = (start.Method, start.Path, "HTTP/1.1");
        byte[] body = start.Body.Length == 0 ? [] : Encoding.UTF8.GetBytes(start.Body);
        var headers = new List<string> { "Host: hull" };
        var framing = true;
        for (var changes = _random.Next(1, 4); changes > 0; changes--)
        {
            switch (_random.Next(10))
            {
                case 0: method = Choose(["GET", "POST", "PUT", "DELETE", "HEAD", "PATCH", "OPTIONS", "CONNECT", "TRACE", "", "G E T", "get", new string('M', 200)]); break;
                case 1 or 2: path = MutatePath(path); break;
                case 3 or 4 when path.Contains('?', StringComparison.Ordinal): path = MutateQuery(path); break;
                case 5: headers.Add(Choose(s_headers)); break;
                case 6: version = Choose(["HTTP/1.0", "HTTP/1.1", "HTTP/2.0", "HTTP/9", "", "XTTP/1.1"]); break;
                case 7: framing = false; break;
                default: body = start.Body.StartsWith('{') ? new ConfigMutator(_random.Next()).Mutate(start.Body) : [.. body, .. Encoding.UTF8.GetBytes(Choose(s_words))]; break;
            }
        }

        return Assemble(method, path, version, headers, body, framing);
    }

    /// <summary>The request on the wire: of known length, chunked, wrongly framed, or with its head broken off.</summary>
    private byte[] Assemble(string method, string path, string version, List<string> headers, byte[] body, bool framing)
    {
        if (body.Length > 0 && framing)
        {
            headers.Add("Content-Type: application/json");
            if (_random.Next(3) > 0) headers.Add("Content-Length: " + (body.Length + (_random.Next(12) == 0 ? _random.Next(-3, 4) : 0)).ToString(CultureInfo.InvariantCulture));
            else
            {
                headers.Add("Transfer-Encoding: chunked");
                body = Chunked(body);
            }
        }

        var message = (byte[])[.. Encoding.UTF8.GetBytes($"{method} {path} {version}\r\n{string.Join("\r\n", headers)}\r\n\r\n"), .. body];
        return _random.Next(20) == 0 ? message[.._random.Next(message.Length)] : message;
    }

    private byte[] Chunked(byte[] body)
    {
        var split = _random.Next(body.Length);
        var size = _random.Next(8) == 0 ? Choose(["zz", "-1", "ffffffffffffffff", "1;x=y", ""]) : split.ToString("x", CultureInfo.InvariantCulture);
        return [.. Encoding.ASCII.GetBytes(size + "\r\n"), .. body[..split], .. Encoding.ASCII.GetBytes($"\r\n{body.Length - split:x}\r\n"), .. body[split..], .. "\r\n0\r\n"u8, .. _random.Next(5) == 0 ? [] : "\r\n"u8.ToArray()];
    }

    private string MutatePath(string path)
    {
        var query = path.IndexOf('?', StringComparison.Ordinal);
        var tail = query < 0 ? "" : path[query..];
        var segments = (query < 0 ? path : path[..query]).Split('/').ToList();
        var at = _random.Next(segments.Count);
        switch (_random.Next(4))
        {
            case 0: segments[at] = Choose(s_words); break;
            case 1: segments.Insert(at, Choose(s_words)); break;
            case 2: segments.RemoveAt(at); break;
            default: segments.Insert(Math.Min(1, segments.Count), Choose(["v1.24", "v1.99", "v0", "v", "v1.", "v1.44"])); break;
        }

        return string.Join('/', segments) + tail;
    }

    private string MutateQuery(string path)
    {
        var query = path.IndexOf('?', StringComparison.Ordinal);
        var parameters = path[(query + 1)..].Split('&');
        var at = _random.Next(parameters.Length);
        parameters[at] = parameters[at].Split('=')[0] + "=" + Choose(s_words);
        return path[..(query + 1)] + string.Join('&', parameters) + (_random.Next(6) == 0 ? "&" + parameters[at] : "");
    }

    private string Choose(string[] from) => from[_random.Next(from.Length)];
}
