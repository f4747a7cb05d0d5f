using System.Globalization;
using System.Text;
using Hull.Linux.Files;

namespace Hull.Hypervisor.Monitor;

/// <summary>The directory of one machine below the root of the runtime: where its bundle is, and which process stands for it.</summary>
internal static class StateDirectory
{
    private const string BundleFile = "bundle";
    private const string PidFile = "pid";

    /// <summary>Makes it and answers its path; <see cref="ErrorKind.AlreadyExists"/> where there is one with this id.</summary>
    public static string Make(string root, string id, string bundle)
    {
        var directory = Path.Combine(root, id);
        if (Directory.Exists(directory)) throw HullException.Exists($"container {id} exists already");
        Directory.CreateDirectory(directory, UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute);
        try
        {
            AtomicFile.Write(Path.Combine(directory, BundleFile), Encoding.UTF8.GetBytes(bundle), durable: false);
        }
        catch
        {
            Directory.Delete(directory, recursive: true);
            throw;
        }

        return directory;
    }

    public static void WritePid(string directory, int pid) =>
        AtomicFile.Write(Path.Combine(directory, PidFile), Encoding.ASCII.GetBytes(pid.ToString(CultureInfo.InvariantCulture)), durable: false);

    public static string ReadBundle(string directory) => File.ReadAllText(Path.Combine(directory, BundleFile));

    /// <summary>Null before it was written.</summary>
    public static int? ReadPid(string directory) =>
        Path.Combine(directory, PidFile) is var path && File.Exists(path) ? int.Parse(File.ReadAllText(path), CultureInfo.InvariantCulture) : null;
}
