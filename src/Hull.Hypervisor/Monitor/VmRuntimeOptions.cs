namespace Hull.Hypervisor.Monitor;

/// <summary>A command line of the OCI runtime command line interface (opencontainers/runtime-tools, command-line-interface.md).</summary>
internal sealed class VmRuntimeOptions
{
    private static readonly HashSet<string> Flags = ["--systemd-cgroup", "--debug", "--detach", "-d", "--force", "-f", "--all", "-a", "--tty", "-t", "--version", "-v", "--help", "-h"];

    private readonly Dictionary<string, string> _values = [];
    private readonly HashSet<string> _flags = [];

    public string Command { get; private set; } = "";

    public IReadOnlyList<string> Operands { get; private set; } = [];

    public string Root => _values.GetValueOrDefault("--root", "/run/hull-vm");

    public string? Log => _values.GetValueOrDefault("--log");

    public bool JsonLog => _values.GetValueOrDefault("--log-format") == "json";

    public static VmRuntimeOptions Parse(IReadOnlyList<string> arguments)
    {
        var options = new VmRuntimeOptions();
        var operands = new List<string>();
        for (var index = 0; index < arguments.Count; index++)
        {
            var argument = arguments[index];
            if (!argument.StartsWith('-') || operands.Count > 1)
            {
                operands.Add(argument);
                continue;
            }

            var equals = argument.IndexOf('=', StringComparison.Ordinal);
            if (Flags.Contains(argument)) options._flags.Add(argument);
            else if (equals > 0) options._values[argument[..equals]] = argument[(equals + 1)..];
            else if (index + 1 < arguments.Count) options._values[argument] = arguments[++index];
            else throw HullException.Invalid($"option {argument} needs a value");
        }

        if (operands.Count > 0) options.Command = operands[0];
        options.Operands = operands.Count > 1 ? operands[1..] : [];
        return options;
    }

    public bool Has(params ReadOnlySpan<string> names)
    {
        foreach (var name in names)
        {
            if (_flags.Contains(name)) return true;
        }

        return false;
    }

    public string? Value(string name) => _values.GetValueOrDefault(name);

    public string Require(string name) => Value(name) ?? throw HullException.Invalid($"{Command} needs {name}");

    /// <summary>The container's id: the first operand. It names a directory, so it is checked.</summary>
    public string Id
    {
        get
        {
            var id = Operands.Count > 0 ? Operands[0] : throw HullException.Invalid($"{Command} needs the id of a container");
            return id.Length is > 0 and <= 128 && id.All(c => char.IsAsciiLetterOrDigit(c) || c is '_' or '+' or '-' or '.') && !id.StartsWith('.')
                ? id
                : throw HullException.Invalid($"invalid container id '{id}'");
        }
    }
}
