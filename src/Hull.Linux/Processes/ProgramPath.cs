namespace Hull.Linux.Processes;

/// <summary>Programs of this machine.</summary>
public static class ProgramPath
{
    /// <summary>Where most systems have programs, for a process without PATH and for administrators' programs that are not in a user's.</summary>
    private static readonly string[] s_usual = ["/usr/local/sbin", "/usr/local/bin", "/usr/sbin", "/usr/bin", "/sbin", "/bin"];

    /// <summary>The program's absolute path, from PATH and the usual directories; null where it is not installed.</summary>
    public static string? Find(string program) => (Environment.GetEnvironmentVariable("PATH") ?? "").Split(':').Concat(s_usual)
        .Where(directory => directory.StartsWith('/')).Select(directory => Path.Combine(directory, program)).FirstOrDefault(File.Exists);
}
