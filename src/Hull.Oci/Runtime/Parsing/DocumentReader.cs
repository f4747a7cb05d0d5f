using System.Text.Json;
using Hull.Core;

namespace Hull.Oci.Runtime.Parsing;

/// <summary>
/// Reads a JSON document member by member. The serializer's metadata takes longer to set up than a whole container,
/// so the documents that are read at every call of the runtime are read by hand; and so errors can name the member.
/// </summary>
public ref struct DocumentReader
{
    private readonly string _name;
    private Utf8JsonReader _reader;

    public DocumentReader(ReadOnlySpan<byte> content, string name)
    {
        _name = name;
        _reader = new Utf8JsonReader(content, new JsonReaderOptions { MaxDepth = 64 });
    }

    /// <summary>Reads one object from the start to the end of the content.</summary>
    public static T Read<T>(ReadOnlySpan<byte> content, string name, Part<T> part) where T : class
    {
        var reader = new DocumentReader(content, name);
        try
        {
            reader._reader.Read();
            if (reader._reader.TokenType != JsonTokenType.StartObject) throw HullException.Invalid($"{name}: the document is not a JSON object");
            var result = part(ref reader) ?? throw HullException.Invalid($"{name}: the document is null");
            if (reader._reader.Read()) throw HullException.Invalid($"{name} is not valid JSON: something follows the document");
            return result;
        }
        catch (JsonException error)
        {
            throw HullException.Invalid($"{name} is not valid JSON (line {error.LineNumber + 1}, byte {error.BytePositionInLine + 1})");
        }
        catch (InvalidOperationException)
        {
            // A string with half a surrogate pair, or with bytes that are no UTF-8.
            throw HullException.Invalid($"{name} is not valid JSON: a string is not Unicode text");
        }
    }

    public delegate T? Part<out T>(ref DocumentReader reader) where T : class;

    /// <summary>Enters the object at hand; false for null.</summary>
    public bool Enter(string path)
    {
        if (_reader.TokenType == JsonTokenType.PropertyName) _reader.Read();
        return _reader.TokenType switch
        {
            JsonTokenType.StartObject => true,
            JsonTokenType.Null => false,
            _ => throw Wrong(path, "an object"),
        };
    }

    /// <summary>Goes to the next member of the object; false at its end.</summary>
    public bool Next()
    {
        _reader.Read();
        return _reader.TokenType == JsonTokenType.PropertyName;
    }

    public readonly bool Is(ReadOnlySpan<byte> name) => _reader.ValueTextEquals(name);

    public readonly string MemberName() => _reader.GetString()!;

    public void Skip()
    {
        _reader.Read();
        _reader.Skip();
    }

    public string? Text(string path)
    {
        _reader.Read();
        return TextHere(path);
    }

    public bool Flag(string path)
    {
        _reader.Read();
        return _reader.TokenType switch
        {
            JsonTokenType.True => true,
            JsonTokenType.False or JsonTokenType.Null => false,
            _ => throw Wrong(path, "true or false"),
        };
    }

    public bool? OptionalFlag(string path)
    {
        _reader.Read();
        return _reader.TokenType switch
        {
            JsonTokenType.True => true,
            JsonTokenType.False => false,
            JsonTokenType.Null => null,
            _ => throw Wrong(path, "true or false"),
        };
    }

    public long? Signed(string path)
    {
        _reader.Read();
        if (_reader.TokenType == JsonTokenType.Null) return null;
        return _reader.TokenType == JsonTokenType.Number && _reader.TryGetInt64(out var value) ? value : throw Wrong(path, "an integer");
    }

    public ulong? Unsigned(string path)
    {
        _reader.Read();
        if (_reader.TokenType == JsonTokenType.Null) return null;
        return _reader.TokenType == JsonTokenType.Number && _reader.TryGetUInt64(out var value) ? value : throw Wrong(path, "an integer that is not negative");
    }

    public uint? UInt32(string path) =>
        Unsigned(path) is not { } value ? null : value <= uint.MaxValue ? (uint)value : throw Wrong(path, "an integer of 32 bits");

    public int? Int32(string path) =>
        Signed(path) is not { } value ? null : value is >= int.MinValue and <= int.MaxValue ? (int)value : throw Wrong(path, "an integer of 32 bits");

    public ushort? UInt16(string path) =>
        Unsigned(path) is not { } value ? null : value <= ushort.MaxValue ? (ushort)value : throw Wrong(path, "an integer of 16 bits");

    public List<string>? Texts(string path)
    {
        if (!EnterArray(path)) return null;
        var list = new List<string>();
        while (NextItem()) list.Add(TextHere(path) ?? throw Wrong(path, "an array of strings"));
        return list;
    }

    public List<uint>? Numbers(string path)
    {
        if (!EnterArray(path)) return null;
        var list = new List<uint>();
        while (NextItem()) list.Add(_reader.TokenType == JsonTokenType.Number && _reader.TryGetUInt32(out var value) ? value : throw Wrong(path, "an array of integers of 32 bits"));
        return list;
    }

    public List<T>? List<T>(string path, Part<T> part) where T : class
    {
        if (!EnterArray(path)) return null;
        var list = new List<T>();
        while (NextItem()) list.Add(part(ref this) ?? throw Wrong(path, "an array of objects"));
        return list;
    }

    public Dictionary<string, string>? TextMap(string path)
    {
        if (!Enter(path)) return null;
        var map = new Dictionary<string, string>();
        while (Next()) map[MemberName()] = Text(path) ?? throw Wrong(path, "an object of strings");
        return map;
    }

    public Dictionary<string, T>? Map<T>(string path, Part<T> part) where T : class
    {
        if (!Enter(path)) return null;
        var map = new Dictionary<string, T>();
        while (Next()) map[MemberName()] = part(ref this) ?? throw Wrong(path, "an object of objects");
        return map;
    }

    private bool EnterArray(string path)
    {
        _reader.Read();
        return _reader.TokenType switch
        {
            JsonTokenType.StartArray => true,
            JsonTokenType.Null => false,
            _ => throw Wrong(path, "an array"),
        };
    }

    private bool NextItem()
    {
        _reader.Read();
        return _reader.TokenType != JsonTokenType.EndArray;
    }

    private readonly string? TextHere(string path) => _reader.TokenType switch
    {
        JsonTokenType.String => _reader.GetString(),
        JsonTokenType.Null => null,
        _ => throw Wrong(path, "a string"),
    };

    private readonly HullException Wrong(string path, string expected) => HullException.Invalid($"{_name}: {path} is not {expected}");
}
