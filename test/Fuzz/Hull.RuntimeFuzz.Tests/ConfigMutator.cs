using System.Text;
using System.Text.Json.Nodes;

namespace Hull.RuntimeFuzz.Tests;

/// <summary>Makes wrong configurations out of a right one: some wrong as JSON, most wrong in one or a few members.</summary>
internal sealed class ConfigMutator(int seed)
{
    // Members whose change would let the container out of the places the test looks after.
    private static readonly string[] Fixed = ["$.root.path", "$.linux.cgroupsPath"];

    private static readonly string[] Words =
    [
        "", " ", "a", "-1", "0", "..", "../..", "/", "//", "/proc/self/exe", "/dev/null", "%s%n", "{}", "null", "true", "\0", "\n", "ä\u0301",
        "\ud83d\ude00", new('x', 5000), "CAP_ALL", "RLIMIT_X", "SCMP_ACT_X", "/proc/self/fd/3", "0-99999", "1e999", "rbind", "mode=zz", "size=-1",
    ];

    private static readonly string[] Numbers =
    [
        "0", "-1", "1", "2147483648", "-2147483649", "4294967296", "9223372036854775807", "9223372036854775808", "18446744073709551615", "1e400", "0.5",
        "-0", "99999999999999999999999",
    ];

    private readonly Random _random = new(seed);

    internal byte[] Mutate(string config)
    {
        if (_random.Next(8) == 0) return MutateBytes(Encoding.UTF8.GetBytes(config));
        var root = JsonNode.Parse(config)!;
        for (var changes = _random.Next(1, 4); changes > 0; changes--) MutateTree(root);
        return Encoding.UTF8.GetBytes(root.ToJsonString());
    }

    private byte[] MutateBytes(byte[] bytes)
    {
        switch (_random.Next(4))
        {
            case 0:
                return bytes[.._random.Next(bytes.Length)];
            case 1:
                // Nesting beyond what a parser follows.
                return Encoding.UTF8.GetBytes(new string('[', 100_000));
            case 2:
                return [.. bytes, .. bytes];
            default:
                for (var i = _random.Next(1, 10); i > 0; i--)
                {
                    // Digits and letters inside strings stay; structure and escapes are what a parser stumbles over.
                    bytes[_random.Next(bytes.Length)] = (byte)"{}[]\",:\\\u0001\u007f"[_random.Next(10)];
                }

                return bytes;
        }
    }

    private void MutateTree(JsonNode root)
    {
        var nodes = new List<JsonNode>();
        Collect(root, nodes);
        var node = nodes[_random.Next(nodes.Count)];
        if (node.Parent is null || Fixed.Contains(node.GetPath()) || Fixed.Any(path => path.StartsWith(node.GetPath() + ".", StringComparison.Ordinal))) return;
        switch (node.Parent)
        {
            case JsonObject parent:
                var name = node.GetPropertyName();
                if (_random.Next(4) == 0) parent.Remove(name);
                else parent[name] = Other(node);
                break;
            case JsonArray parent:
                var index = node.GetElementIndex();
                if (_random.Next(4) == 0) parent.RemoveAt(index);
                else if (_random.Next(4) == 0) parent.Add(node.DeepClone());
                else parent[index] = Other(node);
                break;
        }
    }

    /// <summary>Another value: of the same kind, or of another one.</summary>
    private JsonNode? Other(JsonNode node) => _random.Next(6) switch
    {
        0 => null,
        1 => new JsonObject { ["x"] = 1 },
        2 => new JsonArray(1, "x"),
        3 => JsonNode.Parse(Numbers[_random.Next(Numbers.Length)]),
        4 => Words[_random.Next(Words.Length)],
        _ => node is JsonValue value && value.TryGetValue<string>(out var text) ? text + Words[_random.Next(Words.Length)] : JsonValue.Create(_random.Next(2) == 0),
    };

    private static void Collect(JsonNode? node, List<JsonNode> nodes)
    {
        if (node is null) return;
        nodes.Add(node);
        if (node is JsonObject members)
        {
            foreach (var (_, member) in members) Collect(member, nodes);
        }
        else if (node is JsonArray elements)
        {
            foreach (var element in elements) Collect(element, nodes);
        }
    }
}
