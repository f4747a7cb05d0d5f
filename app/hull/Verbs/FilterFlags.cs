using System.Text;
using System.Text.Json;
using Hull.Core;
using Hull.Core.CommandLine;

namespace Hull.Cli.Verbs;

/// <summary><c>--filter key=value</c>, repeated.</summary>
internal sealed class FilterFlags
{
    private readonly SortedDictionary<string, List<string>> filters = new(StringComparer.Ordinal);

    public void Define(FlagSet flags) => flags.Value("filter", 'f', "key=value", "only what matches", Add);

    public void Add(string text)
    {
        var equals = text.IndexOf('=', StringComparison.Ordinal);
        if (equals <= 0) throw HullException.Invalid($"invalid filter '{text}': expected key=value");
        // "label!=x" is the key "label!" with the value "x".
        Set(text[..equals].Trim().ToLowerInvariant(), text[(equals + 1)..].Trim());
    }

    public void Set(string key, string value)
    {
        if (!filters.TryGetValue(key, out var list)) filters[key] = list = [];
        list.Add(value);
    }

    /// <summary><c>&amp;filters=…</c>, or nothing where there are none.</summary>
    public string Query()
    {
        if (filters.Count == 0) return "";
        using var buffer = new MemoryStream();
        using (var writer = new Utf8JsonWriter(buffer))
        {
            writer.WriteStartObject();
            foreach (var (key, values) in filters)
            {
                writer.WriteStartArray(key);
                foreach (var value in values) writer.WriteStringValue(value);
                writer.WriteEndArray();
            }

            writer.WriteEndObject();
        }

        return "&filters=" + Uri.EscapeDataString(Encoding.UTF8.GetString(buffer.ToArray()));
    }
}
