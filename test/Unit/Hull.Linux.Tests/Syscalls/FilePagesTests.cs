using System.Globalization;
using Hull.Linux.Syscalls;

namespace Hull.Linux.Tests.Syscalls;

public sealed class FilePagesTests
{
    [Fact]
    public void CodeAndConstantsOfTheProgramAndItsLibrariesAreDroppedAndComeBackWhenTouched()
    {
        var before = Resident();
        Assert.True(before is { Program: > 0, Libraries: > 0, Written: > 0 });
        FilePages.Drop(data: false);
        var after = Resident();
        Assert.True(after.Program < before.Program, $"{before.Program} KiB of the program were mapped, then {after.Program}");
        Assert.True(after.Libraries < before.Libraries, $"{before.Libraries} KiB of libraries were mapped, then {after.Libraries}");
        Assert.Equal(before.Written, after.Written);
        // Of this program, which only starts the libraries, next to nothing comes back.
        var again = Resident();
        FilePages.Drop(data: true);
        var last = Resident();
        Assert.True(last.Libraries < again.Libraries, $"{again.Libraries} KiB of libraries were mapped again, then {last.Libraries}");
        Assert.Equal(before.Written, last.Written);
    }

    /// <summary>
    /// What is resident of constant mappings of the program and of other files, and what this process has written of the
    /// program's, in KiB.
    /// </summary>
    private static (long Program, long Libraries, long Written) Resident()
    {
        var (program, libraries, written, constant, own, library) = (0L, 0L, 0L, false, false, false);
        foreach (var line in File.ReadAllLines("/proc/self/smaps"))
        {
            if (line.Contains('-', StringComparison.Ordinal) && !line.EndsWith(" kB", StringComparison.Ordinal) && !line.StartsWith("VmFlags", StringComparison.Ordinal))
            {
                own = line.EndsWith(Environment.ProcessPath!, StringComparison.Ordinal);
                library = !own && line.Contains(" /", StringComparison.Ordinal);
                constant = line.Split(' ')[1] is "r-xp" or "r--p";
            }
            else if (constant && own && line.StartsWith("Rss:", StringComparison.Ordinal)) program += Number(line);
            else if (constant && library && line.StartsWith("Rss:", StringComparison.Ordinal)) libraries += Number(line);
            else if (own && line.StartsWith("Anonymous:", StringComparison.Ordinal)) written += Number(line);
        }

        return (program, libraries, written);

        static long Number(string line) => long.Parse(line.Split(' ', StringSplitOptions.RemoveEmptyEntries)[1], CultureInfo.InvariantCulture);
    }
}
