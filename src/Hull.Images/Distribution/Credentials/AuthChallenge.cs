using System.Text;

namespace Hull.Images.Distribution;

/// <summary>
/// One challenge of a WWW-Authenticate header (RFC 9110, 11.6.1): a scheme and its parameters, such as the realm,
/// service and scope of a token server.
/// </summary>
public sealed record AuthChallenge(string Scheme, IReadOnlyDictionary<string, string> Parameters)
{
    private const int MaximumLength = 16 << 10;
    private const int MaximumParameters = 32;

    public bool IsBearer => Scheme.Equals("Bearer", StringComparison.OrdinalIgnoreCase);

    public bool IsBasic => Scheme.Equals("Basic", StringComparison.OrdinalIgnoreCase);

    /// <summary>The parameter's value, or null. Names are compared without case.</summary>
    public string? this[string name] => Parameters.TryGetValue(name, out var value) ? value : null;

    /// <summary>
    /// Reads the challenges of one header value. What cannot be read ends the list: a header is somebody else's
    /// text, and a challenge nobody understands is one nobody can answer.
    /// </summary>
    public static IReadOnlyList<AuthChallenge> Parse(string? header)
    {
        var challenges = new List<AuthChallenge>();
        if (header is null || header.Length > MaximumLength) return challenges;
        var reader = new Reader(header);
        while (reader.Token() is { Length: > 0 } scheme)
        {
            var parameters = new Dictionary<string, string>(StringComparer.OrdinalIgnoreCase);
            var complete = reader.Parameters(parameters);
            challenges.Add(new AuthChallenge(scheme, parameters));
            if (!complete) break;
        }

        return challenges;
    }

    private ref struct Reader(string text)
    {
        private readonly string _text = text;
        private int _position;

        private readonly char Current => _position < _text.Length ? _text[_position] : '\0';

        public string Token()
        {
            SkipSeparators();
            var start = _position;
            while (IsTokenCharacter(Current)) _position++;
            return _text[start.._position];
        }

        /// <summary>Reads <c>name=value</c> pairs up to the next scheme; false where the text cannot be read further.</summary>
        public bool Parameters(Dictionary<string, string> parameters)
        {
            while (true)
            {
                SkipSeparators();
                var before = _position;
                var name = Token();
                SkipBlanks();
                if (name.Length == 0) return Current == '\0';
                if (Current != '=')
                {
                    _position = before;
                    return true;
                }

                _position++;
                SkipBlanks();
                if (Value() is not { } value || parameters.Count >= MaximumParameters) return false;
                // The first one counts: a repeated parameter must not replace the one that was checked.
                parameters.TryAdd(name, value);
            }
        }

        private string? Value()
        {
            if (Current != '"') return Token68();
            var value = new StringBuilder();
            for (_position++; Current != '"'; _position++)
            {
                if (Current == '\\') _position++;
                if (_position >= _text.Length) return null;
                value.Append(Current);
            }

            _position++;
            return value.ToString();
        }

        private string Token68()
        {
            var start = _position;
            while (IsTokenCharacter(Current) || Current is '/' or '=' or ':') _position++;
            return _text[start.._position];
        }

        private void SkipSeparators()
        {
            while (Current is ',' or ' ' or '\t') _position++;
        }

        private void SkipBlanks()
        {
            while (Current is ' ' or '\t') _position++;
        }

        private static bool IsTokenCharacter(char c) =>
            char.IsAsciiLetterOrDigit(c) || c is '!' or '#' or '$' or '%' or '&' or '\'' or '*' or '+' or '-' or '.' or '^' or '_' or '`' or '|' or '~';
    }
}
