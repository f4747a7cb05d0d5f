using Hull.Core;

namespace Hull.RuntimeCli.CommandLine;

/// <summary>What a flag takes.</summary>
internal enum FlagKind
{
    /// <summary>Nothing, or <c>=true</c> and <c>=false</c>.</summary>
    Switch,

    /// <summary>A value, after <c>=</c> or as the next argument.</summary>
    Value,

    /// <summary>A value, any number of times.</summary>
    List,
}

/// <summary>One flag: its long name, its one-letter name if any, and a line of help.</summary>
internal readonly record struct Flag(string Name, FlagKind Kind, string Help, char Short = '\0');

/// <summary>
/// The flags and arguments of one command line in the dialect of runc: one dash or two mean the same, a value follows
/// after <c>=</c> or as the next argument, and <c>--</c> ends the flags.
/// </summary>
internal sealed class FlagSet
{
    private readonly Dictionary<string, List<string>> _values = [];

    /// <summary>What was no flag.</summary>
    internal List<string> Arguments { get; } = [];

    /// <summary>Parses from <paramref name="start"/>; with <paramref name="stopAtArgument"/> only up to the first argument.</summary>
    internal static FlagSet Parse(string command, IReadOnlyList<Flag> known, IReadOnlyList<string> input, int start, bool stopAtArgument)
    {
        var set = new FlagSet();
        for (var i = start; i < input.Count; i++)
        {
            var text = input[i];
            if (text == "--")
            {
                set.Arguments.AddRange(input.Skip(i + 1));
                break;
            }

            if (text.Length < 2 || text[0] != '-')
            {
                set.Arguments.AddRange(stopAtArgument ? input.Skip(i) : [text]);
                if (stopAtArgument) break;
                continue;
            }

            i = set.AddFlag(command, known, input, i);
        }

        return set;
    }

    internal bool Has(string name) => _values.TryGetValue(name, out var values) && values[^1] is not ("false" or "0" or "f" or "F" or "FALSE" or "False");

    internal string? Get(string name) => _values.TryGetValue(name, out var values) ? values[^1] : null;

    internal string Get(string name, string otherwise) => Get(name) ?? otherwise;

    internal IReadOnlyList<string> GetAll(string name) => _values.TryGetValue(name, out var values) ? values : [];

    internal int GetInt32(string name, int otherwise) => Get(name) is not { } text ? otherwise
        : int.TryParse(text, out var value) ? value
        : throw HullException.Invalid($"--{name}: '{text}' is not a number");

    /// <summary>The one argument of a command that takes a container id.</summary>
    internal string RequireId(string command)
    {
        if (Arguments.Count == 0) throw HullException.Invalid($"{command}: the container id is missing");
        return Arguments[0];
    }

    private int AddFlag(string command, IReadOnlyList<Flag> known, IReadOnlyList<string> input, int index)
    {
        var text = input[index].TrimStart('-');
        var equals = text.IndexOf('=');
        var name = equals < 0 ? text : text[..equals];
        var flag = Find(known, name) ?? throw HullException.Invalid($"{command}: unknown flag '{input[index]}'");
        string value;
        if (equals >= 0) value = text[(equals + 1)..];
        else if (flag.Kind == FlagKind.Switch) value = "true";
        else if (++index < input.Count) value = input[index];
        else throw HullException.Invalid($"{command}: the flag --{flag.Name} needs a value");

        if (!_values.TryGetValue(flag.Name, out var values)) _values[flag.Name] = values = [];
        values.Add(value);
        return index;
    }

    private static Flag? Find(IReadOnlyList<Flag> known, string name)
    {
        foreach (var flag in known)
        {
            if (flag.Name == name || (name.Length == 1 && flag.Short == name[0])) return flag;
        }

        return null;
    }
}
