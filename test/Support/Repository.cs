namespace Hull.Testing;

/// <summary>Where the checkout and the programs built from it are.</summary>
public static class Repository
{
    /// <summary>The checkout's root: the nearest folder above the test that holds Hull.slnx.</summary>
    public static string Root { get; } = FindRoot();

    /// <summary>A program that <c>make build</c> put in out/bin (or in HULL_BIN). Its absence is a failure, not a skip.</summary>
    public static string Executable(string name)
    {
        var directory = Environment.GetEnvironmentVariable("HULL_BIN") ?? Path.Combine(Root, "out", "bin");
        var path = Path.Combine(directory, name);
        return File.Exists(path) ? path : throw new FileNotFoundException($"{path} is missing: run make build first");
    }

    /// <summary>
    /// Copies a program by a process of its own. A file written by this one may still be open for writing in the child of a
    /// parallel test, between fork and execve, and could not be executed then (ETXTBSY, execve(2)).
    /// </summary>
    public static void CopyProgram(string program, string copy) => Command.Run("cp", "--", program, copy).Ok();

    private static string FindRoot()
    {
        for (var directory = new DirectoryInfo(AppContext.BaseDirectory); directory is not null; directory = directory.Parent)
        {
            if (File.Exists(Path.Combine(directory.FullName, "Hull.slnx"))) return directory.FullName;
        }

        throw new DirectoryNotFoundException("no Hull.slnx above " + AppContext.BaseDirectory);
    }
}
