using System.Globalization;
using System.Text;

namespace Hull.Oci.Runtime.Parsing;

/// <summary>Writes small JSON documents; the counterpart of <see cref="DocumentReader"/>, for the same reason.</summary>
public sealed class DocumentWriter
{
    private readonly StringBuilder _text = new(512);
    private readonly bool _indented;
    private int _depth;
    private bool _needsComma;

    public DocumentWriter(bool indented = false) => _indented = indented;

    public byte[] ToBytes() => Encoding.UTF8.GetBytes(_text.ToString());

    /// <summary>Begins an object: the document, an array's item, or a member.</summary>
    public DocumentWriter BeginObject(string? name = null) => Begin(name, '{');

    public DocumentWriter EndObject() => End('}');

    public DocumentWriter BeginArray(string? name = null) => Begin(name, '[');

    public DocumentWriter EndArray() => End(']');

    /// <summary>Writes a member, or leaves it out where the value is null.</summary>
    public DocumentWriter Member(string name, string? value)
    {
        if (value is null) return this;
        Name(name);
        Quote(value);
        return this;
    }

    public DocumentWriter Member(string name, long value)
    {
        Name(name);
        _text.Append(value.ToString(CultureInfo.InvariantCulture));
        return this;
    }

    public DocumentWriter Member(string name, ulong value)
    {
        Name(name);
        _text.Append(value.ToString(CultureInfo.InvariantCulture));
        return this;
    }

    public DocumentWriter Member(string name, bool value)
    {
        Name(name);
        _text.Append(value ? "true" : "false");
        return this;
    }

    public DocumentWriter Member(string name, IEnumerable<string> values)
    {
        BeginArray(name);
        foreach (var value in values) Item(value);
        return EndArray();
    }

    public DocumentWriter Member(string name, IReadOnlyDictionary<string, string>? values)
    {
        if (values is null) return this;
        BeginObject(name);
        foreach (var (key, value) in values) Member(key, value);
        return EndObject();
    }

    public DocumentWriter Item(string value)
    {
        Separate();
        Quote(value);
        return this;
    }

    private DocumentWriter Begin(string? name, char bracket)
    {
        if (name is null) Separate();
        else Name(name);
        _text.Append(bracket);
        _depth++;
        _needsComma = false;
        return this;
    }

    private DocumentWriter End(char bracket)
    {
        _depth--;
        if (_needsComma) NewLine();
        _text.Append(bracket);
        _needsComma = true;
        return this;
    }

    private void Name(string name)
    {
        Separate();
        Quote(name);
        _text.Append(_indented ? ": " : ":");
    }

    private void Separate()
    {
        if (_needsComma) _text.Append(',');
        if (_depth > 0) NewLine();
        _needsComma = true;
    }

    private void NewLine()
    {
        if (_indented) _text.Append('\n').Append(' ', _depth * 2);
    }

    private void Quote(string value)
    {
        _text.Append('"');
        foreach (var c in value)
        {
            if (c is '"' or '\\') _text.Append('\\').Append(c);
            else if (c < ' ') _text.Append("\\u").Append(((int)c).ToString("x4", CultureInfo.InvariantCulture));
            else _text.Append(c);
        }

        _text.Append('"');
    }
}
