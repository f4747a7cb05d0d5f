using System.Text;
using System.Text.Json;
using System.Text.Json.Nodes;
using Hull.Core;
using Hull.Oci.Image;

namespace Hull.Images;

/// <summary>The Dockerfile instructions that <c>import --change</c> and <c>commit --change</c> apply to an image's configuration.</summary>
public static class ConfigChange
{
    /// <summary>Applies instructions in order; throws <see cref="ErrorKind.InvalidArgument"/> for one that cannot be read.</summary>
    public static ContainerDefaults Apply(ContainerDefaults config, IEnumerable<string> instructions) =>
        instructions.Aggregate(config, Apply);

    private static ContainerDefaults Apply(ContainerDefaults config, string instruction)
    {
        var text = instruction.Trim();
        var blank = text.IndexOfAny([' ', '\t']);
        var (word, rest) = blank < 0 ? (text, "") : (text[..blank], text[(blank + 1)..].Trim());
        if (rest.Length == 0) throw HullException.Invalid($"invalid change '{instruction}': expected an instruction with a value, such as CMD [\"sh\"]");
        return word.ToUpperInvariant() switch
        {
            "CMD" => config with { Cmd = Command(rest, config.Shell) },
            "ENTRYPOINT" => config with { Entrypoint = Command(rest, config.Shell) },
            "ENV" => config with { Env = Merge(config.Env, Pairs(rest, instruction)) },
            "LABEL" => config with { Labels = Labels(config.Labels, Pairs(rest, instruction)) },
            "EXPOSE" => config with { ExposedPorts = Add(config.ExposedPorts, Words(rest).Select(port => Port(port, instruction))) },
            "VOLUME" => config with { Volumes = Add(config.Volumes, TryList(rest) ?? Words(rest)) },
            "USER" => config with { User = rest },
            "WORKDIR" => config with { WorkingDir = rest.StartsWith('/') ? rest : Path.Combine(config.WorkingDir is { Length: > 0 } below ? below : "/", rest) },
            "STOPSIGNAL" => config with { StopSignal = rest },
            "ONBUILD" => config with { OnBuild = [.. config.OnBuild ?? [], rest] },
            _ => throw HullException.Invalid($"invalid change '{instruction}': {word} cannot be applied to an image's configuration"),
        };
    }

    private static IReadOnlyList<string> Command(string text, IReadOnlyList<string>? shell) => TryList(text) ?? [.. shell ?? ["/bin/sh", "-c"], text];

    /// <summary>The JSON form of a list; null where the text is not one, as Docker reads it.</summary>
    private static IReadOnlyList<string>? TryList(string text)
    {
        if (!text.StartsWith('[')) return null;
        try
        {
            return JsonNode.Parse(text) is JsonArray array && array.All(entry => entry?.GetValueKind() == JsonValueKind.String)
                ? [.. array.Select(entry => entry!.GetValue<string>())]
                : null;
        }
        catch (JsonException)
        {
            return null;
        }
    }

    /// <summary><c>KEY=VALUE</c> words with quotes, or the old form <c>KEY VALUE</c>.</summary>
    private static IReadOnlyList<(string Key, string Value)> Pairs(string text, string instruction)
    {
        var words = Words(text);
        if (!words[0].Contains('=', StringComparison.Ordinal))
        {
            var blank = text.IndexOf(' ', StringComparison.Ordinal);
            return blank > 0 ? [(text[..blank], text[(blank + 1)..].Trim())] : throw HullException.Invalid($"invalid change '{instruction}': expected KEY=VALUE");
        }

        return [.. words.Select(word => word.IndexOf('=', StringComparison.Ordinal) is var equals and > 0
            ? (word[..equals], word[(equals + 1)..])
            : throw HullException.Invalid($"invalid change '{instruction}': expected KEY=VALUE"))];
    }

    /// <summary>Words parted by blanks; quotes and backslashes keep blanks inside.</summary>
    private static IReadOnlyList<string> Words(string text)
    {
        var words = new List<string>();
        var word = new StringBuilder();
        var quote = '\0';
        var any = false;
        for (var i = 0; i < text.Length; i++)
        {
            var c = text[i];
            if (c == '\\' && quote != '\'' && i + 1 < text.Length) word.Append(text[++i]);
            else if (quote != '\0' && c == quote) quote = '\0';
            else if (quote == '\0' && c is '"' or '\'') quote = c;
            else if (quote == '\0' && char.IsWhiteSpace(c))
            {
                if (any) words.Add(word.ToString());
                word.Clear();
                any = false;
                continue;
            }
            else word.Append(c);

            any = true;
        }

        if (any) words.Add(word.ToString());
        return words;
    }

    private static string Port(string text, string instruction)
    {
        var slash = text.IndexOf('/', StringComparison.Ordinal);
        var (number, protocol) = slash < 0 ? (text, "tcp") : (text[..slash], text[(slash + 1)..].ToLowerInvariant());
        return protocol is "tcp" or "udp" or "sctp" && ushort.TryParse(number, out var port) && port > 0
            ? $"{port}/{protocol}"
            : throw HullException.Invalid($"invalid change '{instruction}': '{text}' is not a port such as 80/tcp");
    }

    private static IReadOnlyList<string> Merge(IReadOnlyList<string>? known, IReadOnlyList<(string Key, string Value)> pairs)
    {
        var merged = (known ?? []).Where(entry => !pairs.Any(pair => entry.StartsWith(pair.Key + "=", StringComparison.Ordinal))).ToList();
        merged.AddRange(pairs.Select(pair => pair.Key + "=" + pair.Value));
        return merged;
    }

    private static Dictionary<string, string> Labels(IReadOnlyDictionary<string, string>? known, IReadOnlyList<(string Key, string Value)> pairs)
    {
        var labels = known is null ? [] : new Dictionary<string, string>(known, StringComparer.Ordinal);
        foreach (var (key, value) in pairs) labels[key] = value;
        return labels;
    }

    private static Dictionary<string, Empty> Add(IReadOnlyDictionary<string, Empty>? known, IEnumerable<string> keys)
    {
        var all = known is null ? [] : new Dictionary<string, Empty>(known, StringComparer.Ordinal);
        foreach (var key in keys) all[key] = Empty.Value;
        return all;
    }
}
