namespace Hull.Engine.Drivers.Container;

/// <summary>Runtimes that need no configuration.</summary>
public static class RuntimeNames
{
    /// <summary>Hull's own runtime, linked into the shim.</summary>
    public const string BuiltIn = "hull";

    private static readonly string[] s_known = ["runc", "crun", "youki"];

    /// <summary>The path of a well-known OCI program that is installed; null otherwise.</summary>
    public static string? Find(string name)
    {
        if (!s_known.Contains(name)) return null;
        foreach (var directory in (string[])["/usr/local/sbin", "/usr/local/bin", "/usr/sbin", "/usr/bin", "/sbin", "/bin"])
        {
            var path = Path.Combine(directory, name);
            if (File.Exists(path)) return path;
        }

        return null;
    }
}
