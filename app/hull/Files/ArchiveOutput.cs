using Hull.Cli.Verbs;
using Hull.Core;

namespace Hull.Cli.Files;

/// <summary>Where a verb puts the archive it was asked for: a file, or standard output where none is named.</summary>
internal static class ArchiveOutput
{
    /// <summary>Refuses a terminal before the engine is asked for anything.</summary>
    public static void Check(string? file)
    {
        if (file is null && Terminal.IsInteractive) throw HullException.Invalid("an archive does not belong on a terminal: use -o FILE or a pipe");
    }

    /// <summary>Half an archive must not look like one: a file gets its name once it is whole.</summary>
    public static void Write(Stream content, string? file)
    {
        if (file is null)
        {
            using var standard = Console.OpenStandardOutput();
            content.CopyTo(standard);
            return;
        }

        // What is there and has no size may be a device or a pipe, such as /dev/null: that is written to, not replaced.
        var inPlace = File.Exists(file) && new FileInfo(file).Length == 0;
        var written = inPlace ? file : file + ".part";
        using (var target = new FileStream(written, inPlace ? FileMode.Open : FileMode.Create, FileAccess.Write)) content.CopyTo(target);
        if (!inPlace) File.Move(written, file, overwrite: true);
    }
}
