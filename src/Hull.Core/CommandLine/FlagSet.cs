using System.Globalization;

namespace Hull.Core.CommandLine;

/// <summary>One option of a verb: its names, what people read about it, and what taking it does.</summary>
/// <param name="Name">Long name without dashes.</param>
/// <param name="Shorthand">One-letter name, or null.</param>
/// <param name="ValueName">What stands for the value in help; null for a switch, which takes none unless written with '='.</param>
/// <param name="Help">One line.</param>
/// <param name="Take">Called once per occurrence, in the order of the command line.</param>
public sealed record Flag(string Name, char? Shorthand, string? ValueName, string Help, Action<string> Take)
{
    public bool IsSwitch => ValueName is null;

    /// <summary>Left out of help and completion.</summary>
    public bool Hidden { get; init; }
}

/// <summary>
/// The options of one verb, with the conventions that users of container tools have in their fingers
/// (GNU long options, joined short switches, <c>-p80:80</c>, <c>--</c>), and the one that general parsers
/// lack: a verb may end its options at the first argument, so that those of the command to run pass untouched.
/// </summary>
public sealed class FlagSet
{
    private readonly List<Flag> flags = [];

    /// <summary>Whether options may follow arguments. A verb that runs a command turns it off.</summary>
    public bool Interspersed { get; set; } = true;

    public IReadOnlyList<Flag> Flags => flags;

    /// <summary>Adds an option without a value; <c>--name=false</c> turns it off.</summary>
    public FlagSet Switch(string name, char? shorthand, string help, Action<bool> set) =>
        Add(new Flag(name, shorthand, null, help, text => set(ParseBoolean(name, text))));

    /// <summary>Adds an option with a value; repeated, <paramref name="set"/> is called for each.</summary>
    public FlagSet Value(string name, char? shorthand, string valueName, string help, Action<string> set) =>
        Add(new Flag(name, shorthand, valueName, help, set));

    /// <summary>Adds an option whose value is a whole number.</summary>
    public FlagSet Number(string name, char? shorthand, string help, Action<long> set) =>
        Add(new Flag(name, shorthand, "number", help, text => set(ParseNumber(name, text))));

    public FlagSet Add(Flag flag)
    {
        flags.Add(flag);
        return this;
    }

    /// <summary>Takes the options out of <paramref name="words"/> and answers the arguments that remain, in order.</summary>
    public List<string> Parse(IReadOnlyList<string> words)
    {
        var arguments = new List<string>();
        for (var i = 0; i < words.Count; i++)
        {
            var word = words[i];
            if (word == "--")
            {
                arguments.AddRange(words.Skip(i + 1));
                break;
            }

            if (word.Length < 2 || word[0] != '-')
            {
                arguments.Add(word);
                if (Interspersed) continue;
                arguments.AddRange(words.Skip(i + 1));
                break;
            }

            i = word[1] == '-' ? TakeLong(words, i) : TakeShort(words, i);
        }

        return arguments;
    }

    private int TakeLong(IReadOnlyList<string> words, int i)
    {
        var text = words[i][2..];
        var equals = text.IndexOf('=', StringComparison.Ordinal);
        var name = equals < 0 ? text : text[..equals];
        var flag = Find(name) ?? throw Unknown("--" + name, name);
        if (equals >= 0) flag.Take(text[(equals + 1)..]);
        else if (flag.IsSwitch) flag.Take("true");
        else flag.Take(Next(words, ++i, "--" + name, flag));
        return i;
    }

    private int TakeShort(IReadOnlyList<string> words, int i)
    {
        var word = words[i];
        for (var at = 1; at < word.Length; at++)
        {
            var letter = word[at];
            var flag = flags.Find(f => f.Shorthand == letter) ?? throw Unknown("-" + letter, null);
            var rest = word[(at + 1)..];
            if (flag.IsSwitch && !rest.StartsWith('='))
            {
                flag.Take("true");
                continue;
            }

            if (rest.StartsWith('=')) rest = rest[1..];
            flag.Take(rest.Length > 0 ? rest : Next(words, ++i, "-" + letter, flag));
            return i;
        }

        return i;
    }

    private Flag? Find(string name) => flags.Find(f => f.Name == name);

    private HullException Unknown(string written, string? name)
    {
        var near = name is null ? null : flags
            .Where(f => !f.Hidden).Select(f => f.Name)
            .MinBy(candidate => Spelling.Distance(name, candidate));
        var hint = near is not null && Spelling.Distance(name!, near) <= 2 ? $", did you mean --{near}" : "";
        return HullException.Invalid($"unknown option {written}{hint}");
    }

    private static string Next(IReadOnlyList<string> words, int i, string written, Flag flag) => i < words.Count
        ? words[i]
        : throw HullException.Invalid($"option {written} needs a value: {written} {flag.ValueName!.ToUpperInvariant()}");

    private static bool ParseBoolean(string name, string text) => text.ToLowerInvariant() switch
    {
        "true" or "1" or "t" => true,
        "false" or "0" or "f" => false,
        _ => throw HullException.Invalid($"invalid value '{text}' for --{name}: expected true or false"),
    };

    private static long ParseNumber(string name, string text) =>
        long.TryParse(text, NumberStyles.AllowLeadingSign, CultureInfo.InvariantCulture, out var number)
            ? number
            : throw HullException.Invalid($"invalid value '{text}' for --{name}: expected a whole number");
}
