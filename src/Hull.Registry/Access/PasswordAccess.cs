using System.Security.Cryptography;
using System.Text;
using Hull.Core;
using Hull.Linux.Passwords;
using Hull.Registry.Http;

namespace Hull.Registry.Access;

/// <summary>
/// Basic authentication (RFC 7617) against a file of <c>htpasswd -B</c>. The file is read again when it changes; a
/// password that was right is remembered for a while, as bcrypt is slow on purpose.
/// </summary>
public sealed class PasswordAccess : IAccessPolicy
{
    private const int MaximumRemembered = 1024;
    private static readonly TimeSpan RememberFor = TimeSpan.FromMinutes(5);

    /// <summary>Checked for a name that does not exist, so that the time of the answer does not tell.</summary>
    private const string NobodysHash = "$2y$05$abcdefghijklmnopqrstuu5Lq1s6V1BqG4j9yQmXv5cZb1r8e7K6W";

    private readonly string _path;
    private readonly bool _anonymousPull;
    private readonly TimeProvider _clock;
    private readonly byte[] _key = RandomNumberGenerator.GetBytes(32);
    private readonly Lock _gate = new();
    private readonly Dictionary<string, long> _remembered = [];
    private Dictionary<string, string> _hashes = [];
    private DateTime _read;

    public PasswordAccess(string path, bool anonymousPull, TimeProvider clock)
    {
        (_path, _anonymousPull, _clock) = (path, anonymousPull, clock);
        Reload();
    }

    public HttpResponse? Check(HttpRequest request, RegistryAction action, string repository)
    {
        var header = request.Headers["Authorization"];
        if (header is null && _anonymousPull && action == RegistryAction.Pull) return null;
        if (header is not null && Credentials(header) is var (name, password) && IsRight(name, password)) return null;
        return new RegistryError(401, "UNAUTHORIZED", "a login is needed").ToResponse().With("WWW-Authenticate", "Basic realm=\"hull registry\", charset=\"UTF-8\"");
    }

    private static (string Name, string Password)? Credentials(string header)
    {
        if (!header.StartsWith("Basic ", StringComparison.OrdinalIgnoreCase)) return null;
        var bytes = new byte[header.Length];
        if (!Convert.TryFromBase64String(header[6..].Trim(), bytes, out var count)) return null;
        var text = Encoding.UTF8.GetString(bytes, 0, count);
        var colon = text.IndexOf(':', StringComparison.Ordinal);
        return colon < 0 ? null : (text[..colon], text[(colon + 1)..]);
    }

    private bool IsRight(string name, string password)
    {
        string? hash;
        var mark = Convert.ToHexString(HMACSHA256.HashData(_key, Encoding.UTF8.GetBytes(name + "\0" + password)));
        lock (_gate)
        {
            if (File.GetLastWriteTimeUtc(_path) != _read) Reload();
            if (_remembered.TryGetValue(mark, out var since) && _clock.GetElapsedTime(since) < RememberFor) return true;
            hash = _hashes.GetValueOrDefault(name);
        }

        if (!PasswordHash.Matches(password, hash ?? NobodysHash) || hash is null) return false;
        lock (_gate)
        {
            if (_remembered.Count >= MaximumRemembered) _remembered.Clear();
            // The file may have changed while the hash was computed.
            if (_hashes.GetValueOrDefault(name) == hash) _remembered[mark] = _clock.GetTimestamp();
        }

        return true;
    }

    private void Reload()
    {
        var hashes = new Dictionary<string, string>(StringComparer.Ordinal);
        try
        {
            _read = File.GetLastWriteTimeUtc(_path);
            foreach (var line in File.ReadAllLines(_path))
            {
                var colon = line.IndexOf(':', StringComparison.Ordinal);
                if (colon <= 0 || line.StartsWith('#')) continue;
                var hash = line[(colon + 1)..].Trim();
                if (!hash.StartsWith("$2", StringComparison.Ordinal))
                    throw HullException.Invalid($"{_path}: the password of '{line[..colon]}' is not hashed with bcrypt: use htpasswd -B");
                hashes[line[..colon]] = hash;
            }
        }
        catch (Exception error) when (error is IOException or UnauthorizedAccessException)
        {
            throw HullException.Invalid($"password file {_path} cannot be read", error);
        }

        _hashes = hashes;
        _remembered.Clear();
    }
}
