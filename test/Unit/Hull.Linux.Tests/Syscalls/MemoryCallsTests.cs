using System.Globalization;
using Hull.Linux.Syscalls;

namespace Hull.Linux.Tests.Syscalls;

public sealed class MemoryCallsTests
{
    [Fact]
    public void PagesOfTheProgramAreDroppedAndComeBackWhenTouched()
    {
        var before = Resident();
        Assert.True(before.Program > 0 && before.Written > 0);
        MemoryCalls.DropProgramPages();
        var after = Resident();
        Assert.True(after.Program < before.Program, $"{before.Program} KiB of the program were mapped, then {after.Program}");
        Assert.Equal(before.Written, after.Written);
    }

    /// <summary>What is resident of the program's constant mappings, and what this process has written of the others, in KiB.</summary>
    private static (long Program, long Written) Resident()
    {
        var (program, written, constant, own) = (0L, 0L, false, false);
        foreach (var line in File.ReadAllLines("/proc/self/smaps"))
        {
            if (line.Contains('-', StringComparison.Ordinal) && !line.EndsWith(" kB", StringComparison.Ordinal) && !line.StartsWith("VmFlags", StringComparison.Ordinal))
            {
                own = line.EndsWith(Environment.ProcessPath!, StringComparison.Ordinal);
                constant = own && line.Split(' ')[1] is "r-xp" or "r--p";
            }
            else if (constant && line.StartsWith("Rss:", StringComparison.Ordinal)) program += Number(line);
            else if (own && line.StartsWith("Anonymous:", StringComparison.Ordinal)) written += Number(line);
        }

        return (program, written);

        static long Number(string line) => long.Parse(line.Split(' ', StringSplitOptions.RemoveEmptyEntries)[1], CultureInfo.InvariantCulture);
    }
}
