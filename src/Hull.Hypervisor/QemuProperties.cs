using System.Globalization;
using System.Text;
using System.Text.Json;

namespace Hull.Hypervisor;

/// <summary>
/// An ordered set of named properties as QEMU takes them for a device, a block node, an object or a
/// command: as JSON (<c>-device '{…}'</c>, QMP arguments) or as the older <c>key=value,…</c> text.
/// </summary>
public sealed class QemuProperties : IEquatable<QemuProperties>
{
    private readonly List<(string Key, object Value)> _items = [];

    public QemuProperties Add(string key, string value) => Append(key, value);

    public QemuProperties Add(string key, long value) => Append(key, value);

    public QemuProperties Add(string key, bool value) => Append(key, value);

    public QemuProperties Add(string key, QemuProperties value) => Append(key, value);

    public QemuProperties Add(string key, IReadOnlyList<QemuProperties> values) => Append(key, values);

    public QemuProperties AddOptional(string key, string? value) => value is null ? this : Append(key, value);

    public QemuProperties AddOptional(string key, long? value) => value is null ? this : Append(key, value.Value);

    public QemuProperties AddOptional(string key, bool? value) => value is null ? this : Append(key, value.Value);

    /// <summary>Adds a member that is there and null, which for QEMU is not the same as one left out.</summary>
    public QemuProperties AddNull(string key) => Append(key, Null.Value);

    /// <summary>Adds every member of another set.</summary>
    public QemuProperties AddAll(QemuProperties other)
    {
        _items.AddRange(other._items);
        return this;
    }

    /// <summary>The names of the members, for checks against the schema.</summary>
    public IEnumerable<string> Names => _items.Select(item => item.Key);

    public string ToJson()
    {
        using var buffer = new MemoryStream();
        using (var json = new Utf8JsonWriter(buffer)) WriteTo(json);
        return Encoding.UTF8.GetString(buffer.ToArray());
    }

    /// <summary>The <c>key=value</c> form of qemu(1); a comma inside a value is doubled. Only flat sets have one.</summary>
    public string ToOptionText() => string.Join(',', _items.Select(item => item.Value switch
    {
        bool flag => $"{item.Key}={(flag ? "on" : "off")}",
        long number => string.Create(CultureInfo.InvariantCulture, $"{item.Key}={number}"),
        string text => $"{item.Key}={text.Replace(",", ",,", StringComparison.Ordinal)}",
        _ => throw HullException.Internal($"property '{item.Key}' has no textual form"),
    }));

    public void WriteTo(Utf8JsonWriter json)
    {
        json.WriteStartObject();
        foreach (var (key, value) in _items)
        {
            json.WritePropertyName(key);
            WriteValue(json, value);
        }

        json.WriteEndObject();
    }

    public bool Equals(QemuProperties? other) => other is not null && ToJson() == other.ToJson();

    public override bool Equals(object? obj) => Equals(obj as QemuProperties);

    public override int GetHashCode() => ToJson().GetHashCode(StringComparison.Ordinal);

    public override string ToString() => ToJson();

    private static void WriteValue(Utf8JsonWriter json, object value)
    {
        switch (value)
        {
            case string text: json.WriteStringValue(text); break;
            case long number: json.WriteNumberValue(number); break;
            case bool flag: json.WriteBooleanValue(flag); break;
            case Null: json.WriteNullValue(); break;
            case QemuProperties nested: nested.WriteTo(json); break;
            case IReadOnlyList<QemuProperties> list:
                json.WriteStartArray();
                foreach (var entry in list) entry.WriteTo(json);
                json.WriteEndArray();
                break;
            default: throw HullException.Internal($"a property of type {value.GetType().Name} cannot be written");
        }
    }

    private QemuProperties Append(string key, object value)
    {
        _items.Add((key, value));
        return this;
    }

    private sealed class Null
    {
        public static readonly Null Value = new();
    }
}
