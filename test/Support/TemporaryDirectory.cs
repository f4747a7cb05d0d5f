namespace Hull.Testing;

/// <summary>A directory of the test's own, short enough for unix socket paths, removed at the end.</summary>
public sealed class TemporaryDirectory : IDisposable
{
    public TemporaryDirectory(string prefix = "hull")
    {
        Path = Directory.CreateTempSubdirectory(prefix + "-").FullName;
    }

    public string Path { get; }

    public string this[string relative] => System.IO.Path.Combine(Path, relative);

    public void Dispose()
    {
        if (Directory.Exists(Path)) Command.Run("rm", "-rf", "--one-file-system", Path);
    }
}
