using System.Text;
using System.Text.Json;
using System.Text.Json.Nodes;

namespace Hull.Client.Formatting;

/// <summary>A column of a table: its heading, and the template of its cells.</summary>
public sealed record TableColumn(string Heading, string Template);

/// <summary>
/// What <c>--format</c> asks for: nothing or <c>table</c> (the command's own columns), <c>json</c> (one object
/// per line), <c>table TEMPLATE</c> (columns parted by <c>\t</c>, with headings), or a template per row.
/// </summary>
public sealed class OutputFormat
{
    private const string TablePrefix = "table";

    private readonly string _format;

    private OutputFormat(string format) => _format = format;

    /// <summary>Whether whole objects are wanted as JSON.</summary>
    public bool IsJson => _format == "json";

    /// <summary>Whether the command's own columns are wanted.</summary>
    public bool IsDefault => _format is "" or TablePrefix;

    /// <summary>Reads the text of <c>--format</c>; <c>\t</c> and <c>\n</c> may be written as two characters.</summary>
    public static OutputFormat Parse(string? text) => new((text ?? "").Trim().Replace("\\t", "\t").Replace("\\n", "\n"));

    /// <summary>
    /// Prints rows. <paramref name="columns"/> are the command's own; <paramref name="headings"/> names further
    /// fields for <c>table</c> templates, and a field without a heading there gets its own name in capitals.
    /// </summary>
    public string Rows(IEnumerable<JsonObject> rows, IReadOnlyList<TableColumn> columns, IReadOnlyDictionary<string, string>? headings = null)
    {
        if (IsJson) return Lines(rows.Select(TemplateFunctions.ToJson));
        if (IsDefault) return Table(rows, [.. columns.Select(column => column.Template)], [.. columns.Select(column => column.Heading)]);
        if (!_format.StartsWith(TablePrefix + " ", StringComparison.Ordinal) && !_format.StartsWith(TablePrefix + "\t", StringComparison.Ordinal))
        {
            var template = OutputTemplate.Parse(_format);
            return Lines(rows.Select(template.Apply));
        }

        var cells = SplitColumns(_format[TablePrefix.Length..].TrimStart());
        return Table(rows, cells, [.. cells.Select(cell => Heading(cell, columns, headings))]);
    }

    /// <summary>Prints one object: indented JSON without a format, else as <see cref="Rows"/> does one row.</summary>
    public string One(JsonNode value) => IsJson ? TemplateFunctions.ToJson(value) + "\n"
        : IsDefault ? Indented(value) + "\n"
        : OutputTemplate.Parse(_format).Apply(value) + "\n";

    /// <summary>Prints several inspected objects: one indented JSON list without a format, else a line each.</summary>
    public string All(IReadOnlyList<JsonNode> values) => IsDefault
        ? Indented(new JsonArray([.. values.Select(value => value.DeepClone())])) + "\n"
        : string.Concat(values.Select(One));

    /// <summary>JSON with four blanks of indentation, as Docker and Podman print what they inspect.</summary>
    public static string Indented(JsonNode value)
    {
        using var buffer = new MemoryStream();
        var options = new JsonWriterOptions { Indented = true, IndentSize = 4, Encoder = System.Text.Encodings.Web.JavaScriptEncoder.UnsafeRelaxedJsonEscaping };
        using (var writer = new Utf8JsonWriter(buffer, options)) value.WriteTo(writer);
        return Encoding.UTF8.GetString(buffer.ToArray());
    }

    private static string Table(IEnumerable<JsonObject> rows, IReadOnlyList<string> cells, IReadOnlyList<string> headings)
    {
        var templates = cells.Select(OutputTemplate.Parse).ToList();
        return TextTable.Format([headings, .. rows.Select(row => templates.Select(template => template.Apply(row)).ToArray())]);
    }

    private static string Lines(IEnumerable<string> lines) => string.Concat(lines.Select(line => line + "\n"));

    /// <summary>Cuts at tabs outside of actions, so that a tab inside a string stays.</summary>
    private static List<string> SplitColumns(string text)
    {
        var cells = new List<string>();
        var (start, depth) = (0, 0);
        for (var i = 0; i < text.Length; i++)
        {
            if (text.AsSpan(i).StartsWith("{{")) depth++;
            else if (text.AsSpan(i).StartsWith("}}")) depth--;
            else if (text[i] == '\t' && depth <= 0)
            {
                cells.Add(text[start..i]);
                start = i + 1;
            }
        }

        cells.Add(text[start..]);
        return cells;
    }

    private static string Heading(string cell, IReadOnlyList<TableColumn> columns, IReadOnlyDictionary<string, string>? headings)
    {
        if (columns.FirstOrDefault(column => column.Template == cell) is { } known) return known.Heading;
        var tokens = TemplateLexer.Read(cell);
        var field = tokens.LastOrDefault(token => token.Kind == TokenKind.Field).Text;
        if (string.IsNullOrEmpty(field)) return "";
        var name = columns.FirstOrDefault(column => column.Template == "{{." + field + "}}")?.Heading;
        return name ?? (headings is not null && headings.TryGetValue(field, out var heading) ? heading : SpacedCapitals(field));
    }

    /// <summary><c>CreatedAt</c> becomes <c>CREATED AT</c>.</summary>
    private static string SpacedCapitals(string field)
    {
        var text = new StringBuilder();
        for (var i = 0; i < field.Length; i++)
        {
            if (i > 0 && char.IsUpper(field[i]) && char.IsLower(field[i - 1])) text.Append(' ');
            text.Append(char.ToUpperInvariant(field[i]));
        }

        return text.ToString();
    }
}
