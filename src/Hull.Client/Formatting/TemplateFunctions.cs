using System.Globalization;
using System.Text;
using System.Text.Encodings.Web;
using System.Text.Json;
using System.Text.Json.Nodes;
using Hull.Core;

namespace Hull.Client.Formatting;

/// <summary>The functions a template may call: Go's own and those Docker's command line adds.</summary>
internal static class TemplateFunctions
{
    private static readonly Dictionary<string, Func<IReadOnlyList<JsonNode?>, JsonNode?>> Functions = new(StringComparer.Ordinal)
    {
        ["json"] = arguments => Text(ToJson(One(arguments, "json"))),
        ["len"] = arguments => JsonValue.Create(Length(One(arguments, "len"))),
        ["index"] = Index,
        ["join"] = arguments => Take(arguments, "join", 2, () => Text(string.Join(Print(arguments[1]), Items(arguments[0]).Select(Print)))),
        ["split"] = arguments => Take(arguments, "split", 2, () => List(Print(arguments[0]).Split(Print(arguments[1])).Select(Text))),
        ["upper"] = arguments => Text(Print(One(arguments, "upper")).ToUpperInvariant()),
        ["lower"] = arguments => Text(Print(One(arguments, "lower")).ToLowerInvariant()),
        ["title"] = arguments => Text(CultureInfo.InvariantCulture.TextInfo.ToTitleCase(Print(One(arguments, "title")))),
        ["truncate"] = arguments => Take(arguments, "truncate", 2, () => Text(Truncate(Print(arguments[0]), Whole(arguments[1])))),
        ["pad"] = arguments => Take(arguments, "pad", 3, () => Text(Pad(Print(arguments[0]), Whole(arguments[1]), Whole(arguments[2])))),
        ["replace"] = arguments => Take(arguments, "replace", 3, () => Text(Replace(Print(arguments[0]), Print(arguments[1]), Print(arguments[2])))),
        ["slice"] = Slice,
        ["print"] = arguments => Text(string.Concat(arguments.Select(Print))),
        ["println"] = arguments => Text(string.Join(' ', arguments.Select(Print)) + "\n"),
        ["printf"] = arguments => Text(TemplatePrintf.Format(arguments)),
        ["not"] = arguments => JsonValue.Create(!IsTrue(One(arguments, "not"))),
        ["and"] = arguments => arguments.FirstOrDefault(value => !IsTrue(value), arguments.LastOrDefault()),
        ["or"] = arguments => arguments.FirstOrDefault(IsTrue, arguments.LastOrDefault()),
        ["eq"] = arguments => JsonValue.Create(arguments.Count < 2
            ? throw Wrong("eq", "at least two arguments")
            : arguments.Skip(1).Any(other => Compare(arguments[0], other) == 0)),
        ["ne"] = arguments => JsonValue.Create(Ordering(arguments, "ne") != 0),
        ["lt"] = arguments => JsonValue.Create(Ordering(arguments, "lt") < 0),
        ["le"] = arguments => JsonValue.Create(Ordering(arguments, "le") <= 0),
        ["gt"] = arguments => JsonValue.Create(Ordering(arguments, "gt") > 0),
        ["ge"] = arguments => JsonValue.Create(Ordering(arguments, "ge") >= 0),
    };

    public static bool Exists(string name) => Functions.ContainsKey(name);

    public static JsonNode? Call(string name, IReadOnlyList<JsonNode?> arguments) => Functions[name](arguments);

    /// <summary>Go's notion of truth: false, 0, nothing, and empty text, lists and objects are not true.</summary>
    public static bool IsTrue(JsonNode? value) => value?.GetValueKind() switch
    {
        null or JsonValueKind.Null or JsonValueKind.Undefined or JsonValueKind.False => false,
        JsonValueKind.String => value.GetValue<string>().Length > 0,
        JsonValueKind.Number => NumberOf(value) != 0,
        JsonValueKind.Array => value.AsArray().Count > 0,
        JsonValueKind.Object => value.AsObject().Count > 0,
        _ => true,
    };

    /// <summary>A value as Go's fmt prints it: <c>[a b]</c> for lists, <c>map[k:v]</c> for objects.</summary>
    public static string Print(JsonNode? value) => value?.GetValueKind() switch
    {
        null or JsonValueKind.Null or JsonValueKind.Undefined => "<no value>",
        JsonValueKind.String => value.GetValue<string>(),
        JsonValueKind.Array => "[" + string.Join(' ', value.AsArray().Select(Print)) + "]",
        JsonValueKind.Object => "map[" + string.Join(' ', value.AsObject().OrderBy(field => field.Key, StringComparer.Ordinal)
            .Select(field => field.Key + ":" + Print(field.Value))) + "]",
        _ => value.ToJsonString(),
    };

    /// <summary>The entries of a list, or of an object in the order of its keys.</summary>
    public static IEnumerable<JsonNode?> Items(JsonNode? value) => value switch
    {
        null => [],
        JsonArray array => array,
        JsonObject fields => fields.OrderBy(field => field.Key, StringComparer.Ordinal).Select(field => field.Value),
        _ => throw HullException.Invalid($"invalid template: '{Print(value)}' is not a list"),
    };

    /// <summary>Compact JSON without HTML escapes.</summary>
    public static string ToJson(JsonNode? value)
    {
        if (value is null) return "null";
        using var buffer = new MemoryStream();
        using (var writer = new Utf8JsonWriter(buffer, new JsonWriterOptions { Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping }))
            value.WriteTo(writer);
        return Encoding.UTF8.GetString(buffer.ToArray());
    }

    public static double NumberOf(JsonNode? value) => value?.GetValueKind() == JsonValueKind.Number
        ? double.Parse(value.ToJsonString(), CultureInfo.InvariantCulture)
        : throw HullException.Invalid($"invalid template: '{Print(value)}' is not a number");

    private static int Whole(JsonNode? value) => (int)Math.Clamp(NumberOf(value), int.MinValue, int.MaxValue);

    private static JsonNode? Index(IReadOnlyList<JsonNode?> arguments)
    {
        if (arguments.Count == 0) throw Wrong("index", "a list or object first");
        var value = arguments[0];
        foreach (var key in arguments.Skip(1))
        {
            value = value switch
            {
                JsonObject fields => fields.TryGetPropertyValue(Print(key), out var found) ? found : null,
                JsonArray array when Whole(key) is var at && at >= 0 && at < array.Count => array[at],
                JsonArray array => throw HullException.Invalid($"invalid template: index {Print(key)} is outside a list of {array.Count}"),
                null => throw HullException.Invalid($"invalid template: index '{Print(key)}' of nothing"),
                _ => throw HullException.Invalid($"invalid template: '{Print(value)}' has no index"),
            };
        }

        return value;
    }

    private static JsonNode? Slice(IReadOnlyList<JsonNode?> arguments)
    {
        if (arguments.Count is 0 or > 3) throw Wrong("slice", "a text or list and at most two positions");
        var length = Length(arguments[0]);
        var from = arguments.Count > 1 ? Whole(arguments[1]) : 0;
        var to = arguments.Count > 2 ? Whole(arguments[2]) : length;
        if (from < 0 || to < from || to > length) throw HullException.Invalid($"invalid template: slice {from} to {to} is outside a length of {length}");
        return arguments[0] is JsonArray array ? List(array.Take(from..to)) : Text(Print(arguments[0])[from..to]);
    }

    private static int Length(JsonNode? value) => value switch
    {
        JsonArray array => array.Count,
        JsonObject fields => fields.Count,
        JsonValue when value.GetValueKind() == JsonValueKind.String => value.GetValue<string>().Length,
        null => 0,
        _ => throw HullException.Invalid($"invalid template: '{Print(value)}' has no length"),
    };

    private static string Truncate(string text, int length) => length < 0 || text.Length <= length ? text : text[..length];

    // Widths come from the template: bounded so that a typing error cannot fill the memory.
    private static string Pad(string text, int before, int after) =>
        text.Length == 0 ? text : new string(' ', Math.Clamp(before, 0, 4096)) + text + new string(' ', Math.Clamp(after, 0, 4096));

    private static string Replace(string text, string from, string to) =>
        from.Length == 0 ? text : text.Replace(from, to, StringComparison.Ordinal);

    private static int Ordering(IReadOnlyList<JsonNode?> arguments, string name) =>
        arguments.Count == 2 ? Compare(arguments[0], arguments[1]) : throw Wrong(name, "two arguments");

    private static int Compare(JsonNode? left, JsonNode? right) =>
        left?.GetValueKind() == JsonValueKind.Number && right?.GetValueKind() == JsonValueKind.Number
            ? NumberOf(left).CompareTo(NumberOf(right))
            : string.CompareOrdinal(Print(left), Print(right));

    private static JsonNode? One(IReadOnlyList<JsonNode?> arguments, string name) =>
        arguments.Count == 1 ? arguments[0] : throw Wrong(name, "one argument");

    private static JsonNode? Take(IReadOnlyList<JsonNode?> arguments, string name, int count, Func<JsonNode?> call) =>
        arguments.Count == count ? call() : throw Wrong(name, $"{count} arguments");

    private static HullException Wrong(string name, string expected) => HullException.Invalid($"invalid template: '{name}' takes {expected}");

    private static JsonValue Text(string text) => JsonValue.Create(text);

    private static JsonArray List(IEnumerable<JsonNode?> items) => new([.. items.Select(item => item?.DeepClone())]);
}
