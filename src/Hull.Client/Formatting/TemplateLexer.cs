using System.Globalization;
using System.Text;
using Hull.Core;

namespace Hull.Client.Formatting;

internal enum TokenKind
{
    Text, Open, Close, Identifier, Field, Variable, Dot, String, Number, Pipe, Comma, Declare, Assign, LeftParenthesis, RightParenthesis, End,
}

/// <summary>One word of a template. <paramref name="Spaced"/> tells <c>.A .B</c> (two operands) from <c>.A.B</c> (one).</summary>
internal readonly record struct Token(TokenKind Kind, string Text, int Position, bool Spaced = false);

/// <summary>Cuts a template into text and the words of its actions, as Go's text/template/parse lexes them.</summary>
internal sealed class TemplateLexer
{
    private readonly string _source;
    private readonly List<Token> _tokens = [];
    private int _position;

    private TemplateLexer(string source) => _source = source;

    public static List<Token> Read(string source)
    {
        var lexer = new TemplateLexer(source);
        lexer.ReadAll();
        return lexer._tokens;
    }

    private char Current => _position < _source.Length ? _source[_position] : '\0';

    private void ReadAll()
    {
        var trimNext = false;
        while (_position < _source.Length)
        {
            var open = _source.IndexOf("{{", _position, StringComparison.Ordinal);
            var end = open < 0 ? _source.Length : open;
            var text = _source[_position..end];
            if (trimNext) text = text.TrimStart();
            var trimBefore = open >= 0 && IsTrimOpen(open);
            if (trimBefore) text = text.TrimEnd();
            if (text.Length > 0) _tokens.Add(new Token(TokenKind.Text, text, _position));
            if (open < 0) break;
            _position = open + (trimBefore ? 3 : 2);
            trimNext = ReadAction(open);
        }

        _tokens.Add(new Token(TokenKind.End, "", _source.Length));
    }

    private bool IsTrimOpen(int open) =>
        open + 3 < _source.Length && _source[open + 2] == '-' && char.IsWhiteSpace(_source[open + 3]);

    /// <summary>Reads to the closing braces; answers whether they ask for the white space after them to go.</summary>
    private bool ReadAction(int open)
    {
        if (SkipComment(open) is { } trimAfterComment) return trimAfterComment;
        _tokens.Add(new Token(TokenKind.Open, "{{", open));
        while (true)
        {
            var start = _position;
            while (char.IsWhiteSpace(Current)) _position++;
            var spaced = _position > start;
            if (_position >= _source.Length) throw Error(open, "unclosed action");
            if (TryClose(spaced) is { } trim)
            {
                _tokens.Add(new Token(TokenKind.Close, "}}", _position - 2));
                return trim;
            }

            ReadWord(spaced);
        }
    }

    private bool? SkipComment(int open)
    {
        var start = _position;
        while (char.IsWhiteSpace(Current)) start = ++_position;
        if (!_source.AsSpan(start).StartsWith("/*")) return null;
        var end = _source.IndexOf("*/", start + 2, StringComparison.Ordinal);
        if (end < 0) throw Error(open, "unclosed comment");
        _position = end + 2;
        var before = _position;
        while (char.IsWhiteSpace(Current)) _position++;
        return TryClose(_position > before) ?? throw Error(open, "a comment must end its action");
    }

    private bool? TryClose(bool spaced)
    {
        var rest = _source.AsSpan(_position);
        if (spaced && rest.StartsWith("-}}"))
        {
            _position += 3;
            return true;
        }

        if (!rest.StartsWith("}}")) return null;
        _position += 2;
        return false;
    }

    private void ReadWord(bool spaced)
    {
        var start = _position;
        var c = Current;
        switch (c)
        {
            case '|': Add(TokenKind.Pipe, 1, spaced); return;
            case ',': Add(TokenKind.Comma, 1, spaced); return;
            case '(': Add(TokenKind.LeftParenthesis, 1, spaced); return;
            case ')': Add(TokenKind.RightParenthesis, 1, spaced); return;
            case '=': Add(TokenKind.Assign, 1, spaced); return;
            case ':' when Peek(1) == '=': Add(TokenKind.Declare, 2, spaced); return;
            case '"': ReadQuoted(start, spaced); return;
            case '`': ReadRaw(start, spaced); return;
            case '.' when IsLetter(Peek(1)):
                _position++;
                _tokens.Add(new Token(TokenKind.Field, ReadName(), start, spaced));
                return;
            case '.' when !char.IsAsciiDigit(Peek(1)): Add(TokenKind.Dot, 1, spaced); return;
            case '$':
                _position++;
                _tokens.Add(new Token(TokenKind.Variable, ReadName(), start, spaced));
                return;
        }

        if (char.IsAsciiDigit(c) || (c is '-' or '+' or '.' && (char.IsAsciiDigit(Peek(1)) || Peek(1) == '.'))) ReadNumber(start, spaced);
        else if (IsLetter(c)) _tokens.Add(new Token(TokenKind.Identifier, ReadName(), start, spaced));
        else throw Error(start, $"unexpected character '{c}'");
    }

    private void Add(TokenKind kind, int length, bool spaced)
    {
        _tokens.Add(new Token(kind, _source.Substring(_position, length), _position, spaced));
        _position += length;
    }

    private char Peek(int ahead) => _position + ahead < _source.Length ? _source[_position + ahead] : '\0';

    private static bool IsLetter(char c) => char.IsLetter(c) || c == '_';

    private string ReadName()
    {
        var start = _position;
        while (IsLetter(Current) || char.IsDigit(Current)) _position++;
        return _source[start.._position];
    }

    private void ReadNumber(int start, bool spaced)
    {
        _position++;
        while (char.IsAsciiLetterOrDigit(Current) || Current is '.' or '_' || (Current is '+' or '-' && Peek(-1) is 'e' or 'E')) _position++;
        var text = _source[start.._position];
        if (!double.TryParse(text, NumberStyles.Float, CultureInfo.InvariantCulture, out _)) throw Error(start, $"bad number '{text}'");
        _tokens.Add(new Token(TokenKind.Number, text, start, spaced));
    }

    private void ReadRaw(int start, bool spaced)
    {
        var end = _source.IndexOf('`', start + 1);
        if (end < 0) throw Error(start, "unclosed raw string");
        _tokens.Add(new Token(TokenKind.String, _source[(start + 1)..end], start, spaced));
        _position = end + 1;
    }

    private void ReadQuoted(int start, bool spaced)
    {
        var text = new StringBuilder();
        for (_position++; Current != '"'; _position++)
        {
            if (_position >= _source.Length || Current == '\n') throw Error(start, "unclosed string");
            if (Current != '\\')
            {
                text.Append(Current);
                continue;
            }

            _position++;
            text.Append(Current switch
            {
                'n' => '\n',
                't' => '\t',
                'r' => '\r',
                'b' => '\b',
                'f' => '\f',
                'a' => '\a',
                'v' => '\v',
                '\\' => '\\',
                '"' => '"',
                '\'' => '\'',
                'u' => ReadHex(start, 4),
                'x' => ReadHex(start, 2),
                _ => throw Error(start, $"unknown escape '\\{Current}' in a string"),
            });
        }

        _position++;
        _tokens.Add(new Token(TokenKind.String, text.ToString(), start, spaced));
    }

    private char ReadHex(int start, int digits)
    {
        if (_position + digits >= _source.Length
            || !ushort.TryParse(_source.AsSpan(_position + 1, digits), NumberStyles.AllowHexSpecifier, CultureInfo.InvariantCulture, out var value))
            throw Error(start, "bad escape in a string");
        _position += digits;
        return (char)value;
    }

    private static HullException Error(int position, string message) =>
        HullException.Invalid($"invalid template at character {position + 1}: {message}");
}
