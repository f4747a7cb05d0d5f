using Xunit;

namespace Hull.Testing;

/// <summary>Preconditions of a test. One that does not hold skips the test with the reason printed.</summary>
public static class Require
{
    public static void Root()
    {
        if (Environment.UserName != "root") Assert.Skip("needs root");
    }

    /// <summary>Skips unless the program is on PATH; answers its path.</summary>
    public static string Program(string name)
    {
        foreach (var directory in (Environment.GetEnvironmentVariable("PATH") ?? "/usr/sbin:/usr/bin:/sbin:/bin").Split(':'))
        {
            var path = Path.Combine(directory, name);
            if (File.Exists(path)) return path;
        }

        Assert.Skip($"needs the program {name}; eng/deps.sh installs it");
        return "";
    }

    /// <summary>Skips on a tmpfs, whose files stay in memory where there is no swap.</summary>
    public static void OnDisk(string path) =>
        That(new DriveInfo(path).DriveFormat != "tmpfs", $"{path} lies on a tmpfs, whose files cannot be taken out of memory: set TMPDIR to a directory on a disk");

    public static void That(bool condition, string reason)
    {
        if (!condition) Assert.Skip(reason);
    }
}
