using System.Reflection;
using System.Text;
using Hull.RuntimeCli.CommandLine;

namespace Hull.RuntimeCli.Commands;

/// <summary>Help and version, laid out as runc's, which people and scripts read.</summary>
internal static class Help
{
    /// <summary>The version, and after a plus the commit it was published from.</summary>
    private static string[] ProductVersion =>
        (typeof(Help).Assembly.GetCustomAttribute<AssemblyInformationalVersionAttribute>()?.InformationalVersion ?? "0").Split('+');

    internal static int Version()
    {
        var version = ProductVersion;
        var commit = version.Length > 1 ? $"commit: {version[1]}\n" : "";
        Output.Write($"{Program.Name} version {version[0]}\n{commit}spec: {QueryCommands.SpecVersion}\n");
        return 0;
    }

    internal static int Global()
    {
        var text = new StringBuilder();
        Section(text, "NAME", $"{Program.Name} - Open Container Initiative runtime");
        Section(text, "USAGE", $"{Program.Name} [global flags] command [flags] [arguments]");
        Section(text, "VERSION", ProductVersion[0]);
        Section(text, "COMMANDS", [.. CommandTable.Names.Select(name => $"{name,-12} {CommandTable.Find(name).Help}")]);
        Section(text, "GLOBAL FLAGS", Describe(Invocation.GlobalFlags));
        Output.Write(text.ToString());
        return 0;
    }

    internal static int Of(Command command)
    {
        var text = new StringBuilder();
        Section(text, "NAME", $"{Program.Name} {command.Name} - {command.Help}");
        Section(text, "USAGE", $"{Program.Name} {command.Name} {command.Usage}");
        if (command.Flags.Count > 0) Section(text, "FLAGS", Describe(command.Flags));
        Output.Write(text.ToString());
        return 0;
    }

    private static void Section(StringBuilder text, string title, params ReadOnlySpan<string> lines)
    {
        text.Append(text.Length > 0 ? "\n" : "").Append(title).Append(":\n");
        foreach (var line in lines) text.Append("   ").Append(line).Append('\n');
    }

    private static string[] Describe(IReadOnlyList<Flag> flags) => [.. flags.Select(Describe)];

    private static string Describe(Flag flag)
    {
        var name = "--" + flag.Name + (flag.Short == '\0' ? "" : ", -" + flag.Short) + (flag.Kind == FlagKind.Switch ? "" : " value");
        return $"{name,-32} {flag.Help}";
    }
}
