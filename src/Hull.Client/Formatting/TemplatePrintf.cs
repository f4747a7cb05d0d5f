using System.Globalization;
using System.Text;
using System.Text.Json.Nodes;
using Hull.Core;

namespace Hull.Client.Formatting;

/// <summary>The verbs of Go's fmt that a template needs: %s %v %q %d %f %x %t %%, with width, precision, '-' and '0'.</summary>
internal static class TemplatePrintf
{
    private const int MaximumWidth = 4096;

    public static string Format(IReadOnlyList<JsonNode?> arguments)
    {
        if (arguments.Count == 0) throw HullException.Invalid("invalid template: 'printf' takes a format first");
        var format = TemplateFunctions.Print(arguments[0]);
        var text = new StringBuilder();
        var next = 1;
        for (var i = 0; i < format.Length; i++)
        {
            if (format[i] != '%')
            {
                text.Append(format[i]);
                continue;
            }

            var (left, zero) = (false, false);
            for (i++; i < format.Length && format[i] is '-' or '0' or '+' or '#'; i++)
                (left, zero) = (left || format[i] == '-', zero || format[i] == '0');
            var width = ReadNumber(format, ref i);
            var precision = i < format.Length && format[i] == '.' ? ReadPrecision(format, ref i) : -1;
            if (i >= format.Length) throw HullException.Invalid("invalid template: the format of 'printf' ends inside a verb");
            if (format[i] == '%')
            {
                text.Append('%');
                continue;
            }

            if (next >= arguments.Count) throw HullException.Invalid($"invalid template: 'printf' has no value for %{format[i]}");
            var value = Value(format[i], arguments[next++], precision);
            text.Append(left ? value.PadRight(width) : zero ? PadZero(value, width) : value.PadLeft(width));
        }

        return text.ToString();
    }

    private static string Value(char verb, JsonNode? value, int precision) => verb switch
    {
        's' or 'v' when precision >= 0 && TemplateFunctions.Print(value) is var text => text[..Math.Min(precision, text.Length)],
        's' or 'v' or 't' => TemplateFunctions.Print(value),
        'q' => TemplateFunctions.ToJson(JsonValue.Create(TemplateFunctions.Print(value))),
        'd' => TemplateFunctions.NumberOf(value).ToString("F0", CultureInfo.InvariantCulture),
        'f' => TemplateFunctions.NumberOf(value).ToString("F" + (precision < 0 ? 6 : precision), CultureInfo.InvariantCulture),
        'x' => ((long)TemplateFunctions.NumberOf(value)).ToString("x", CultureInfo.InvariantCulture),
        _ => throw HullException.Invalid($"invalid template: 'printf' has no verb %{verb}"),
    };

    private static string PadZero(string value, int width) =>
        value.StartsWith('-') ? "-" + value[1..].PadLeft(Math.Max(width - 1, 0), '0') : value.PadLeft(width, '0');

    private static int ReadPrecision(string format, ref int position)
    {
        position++;
        return Math.Min(ReadNumber(format, ref position), 99);
    }

    private static int ReadNumber(string format, ref int position)
    {
        var number = 0;
        for (; position < format.Length && char.IsAsciiDigit(format[position]); position++)
            number = Math.Min(number * 10 + (format[position] - '0'), MaximumWidth);
        return number;
    }
}
