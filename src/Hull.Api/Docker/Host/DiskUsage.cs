namespace Hull.Api.Docker.Host;

/// <summary>How many bytes a directory's files hold.</summary>
internal static class DiskUsage
{
    /// <summary>Sum of the sizes of regular files; links are not followed, what cannot be read is left out.</summary>
    public static long Of(string directory)
    {
        if (!Directory.Exists(directory)) return 0;
        var options = new EnumerationOptions { RecurseSubdirectories = true, IgnoreInaccessible = true, AttributesToSkip = FileAttributes.ReparsePoint };
        return new DirectoryInfo(directory).EnumerateFiles("*", options).Sum(f => f.Length);
    }
}
