using Hull.Linux;
using Hull.Linux.Abi;
using Hull.Linux.Files;
using Hull.Linux.Syscalls;
using Hull.Shim.Protocol;

namespace Hull.Engine.Drivers.Shims;

/// <summary>What drivers with shims do with the files of an instance.</summary>
internal static class InstanceFiles
{
    /// <summary>Removes a directory with everything in it, following no link; one that is not there is no error.</summary>
    public static void RemoveTree(string path)
    {
        if (!Directory.Exists(path)) return;
        using var parent = Check.Descriptor(
            FileCalls.OpenAt(Fcntl.AT_FDCWD, Path.GetDirectoryName(path)!, Fcntl.O_PATH | Fcntl.O_DIRECTORY),
            $"open the directory of {path}");
        TreeRemover.Remove(parent, Path.GetFileName(path), path);
    }

    /// <summary>Where output is recorded, in the words of the shim protocol.</summary>
    public static LogMessage ToMessage(LogSpec log) => new()
    {
        Driver = log.Driver,
        Path = log.Path,
        MaxSize = log.MaxSize,
        MaxFiles = log.MaxFiles,
        Compress = log.Compress,
        Options = [.. log.Options.SelectMany(option => new[] { option.Key, option.Value })],
    };
}
