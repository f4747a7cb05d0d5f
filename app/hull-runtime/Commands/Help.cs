using System.Text;
using Hull.RuntimeCli.CommandLine;

namespace Hull.RuntimeCli.Commands;

/// <summary>Help and version.</summary>
internal static class Help
{
    private static string ProductVersion => typeof(Help).Assembly.GetName().Version?.ToString(3) ?? "0";

    internal static int Version()
    {
        Output.Write($"{Program.Name} version {ProductVersion}\nspec: {QueryCommands.SpecVersion}\n");
        return 0;
    }

    internal static int Global()
    {
        var text = new StringBuilder($"{Program.Name}: run containers as the OCI runtime specification has them\n\nusage: {Program.Name} [global flags] <command> [flags] [arguments]\n\ncommands:\n");
        foreach (var name in CommandTable.Names) text.Append($"  {name,-12} {CommandTable.Find(name).Help}\n");
        text.Append("\nglobal flags:\n");
        Append(text, Invocation.GlobalFlags);
        Output.Write(text.ToString());
        return 0;
    }

    internal static int Of(Command command)
    {
        var text = new StringBuilder($"usage: {Program.Name} {command.Name} {command.Usage}\n\n{command.Help}\n\nflags:\n");
        Append(text, command.Flags);
        Output.Write(text.ToString());
        return 0;
    }

    private static void Append(StringBuilder text, IReadOnlyList<Flag> flags)
    {
        foreach (var flag in flags)
        {
            var name = "--" + flag.Name + (flag.Short == '\0' ? "" : ", -" + flag.Short) + (flag.Kind == FlagKind.Switch ? "" : " value");
            text.Append($"  {name,-32} {flag.Help}\n");
        }
    }
}
