using System.Globalization;

namespace Hull.Hypervisor.Templates;

/// <summary>What a process has open (proc_pid_fd(5)).</summary>
internal static class OpenFiles
{
    /// <summary>Numbers of its descriptors by the paths of their files.</summary>
    public static ILookup<string, int> Of(int process) => Directory.EnumerateFiles($"/proc/{process}/fd")
        .ToLookup(path => new FileInfo(path).LinkTarget ?? "", path => int.Parse(Path.GetFileName(path), CultureInfo.InvariantCulture));
}
