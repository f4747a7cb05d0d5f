using System.Text.Json;
using Hull.Core;

namespace Hull.Api.Http;

/// <summary>
/// The <c>filters</c> parameter: a JSON object of lists (<c>{"label":["a=b"]}</c>) or, from old clients, of objects
/// whose members are true (<c>{"label":{"a=b":true}}</c>).
/// </summary>
public sealed class FilterArguments
{
    private readonly Dictionary<string, IReadOnlyList<string>> values = new(StringComparer.Ordinal);

    public static FilterArguments Parse(string? text)
    {
        var result = new FilterArguments();
        if (string.IsNullOrEmpty(text)) return result;
        try
        {
            using var document = JsonDocument.Parse(text, new JsonDocumentOptions { MaxDepth = 4 });
            if (document.RootElement.ValueKind == JsonValueKind.Null) return result;
            foreach (var member in document.RootElement.EnumerateObject()) result.values[member.Name] = ValuesOf(member.Value);
        }
        catch (Exception e) when (e is JsonException or InvalidOperationException)
        {
            throw HullException.Invalid("invalid filters: expected a JSON object of lists", e);
        }

        return result;
    }

    /// <summary>The same with one more value of a filter.</summary>
    internal FilterArguments With(string name, string value)
    {
        values[name] = [.. this[name], value];
        return this;
    }

    public IEnumerable<string> Names => values.Keys;

    public IReadOnlyList<string> this[string name] => values.TryGetValue(name, out var list) ? list : [];

    public bool Has(string name) => this[name].Count > 0;

    /// <summary>The only value of a filter, or null; throws where there are several.</summary>
    public string? Single(string name) => this[name] switch
    {
        [] => null,
        [var one] => one,
        _ => throw HullException.Invalid($"invalid filter '{name}': expected one value"),
    };

    /// <summary>A filter that is true or false; null where it is absent.</summary>
    public bool? Boolean(string name) => Single(name)?.ToLowerInvariant() switch
    {
        null => null,
        "true" or "1" or "t" => true,
        "false" or "0" or "f" => false,
        var other => throw HullException.Invalid($"invalid filter '{name}={other}': expected true or false"),
    };

    /// <summary>Throws <see cref="ErrorKind.InvalidArgument"/> for a filter that is not among those known.</summary>
    public FilterArguments Allow(params ReadOnlySpan<string> known)
    {
        foreach (var name in values.Keys)
        {
            if (!known.Contains(name)) throw HullException.Invalid($"invalid filter '{name}': expected one of {string.Join(", ", known!)}");
        }

        return this;
    }

    private static IReadOnlyList<string> ValuesOf(JsonElement element) => element.ValueKind switch
    {
        JsonValueKind.Array => [.. element.EnumerateArray().Select(e => e.GetString() ?? "")],
        JsonValueKind.Object => [.. element.EnumerateObject().Where(m => m.Value.ValueKind != JsonValueKind.False).Select(m => m.Name)],
        JsonValueKind.Null => [],
        _ => throw new InvalidOperationException("expected a list"),
    };
}
