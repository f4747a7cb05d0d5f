using System.Globalization;
using Hull.Hypervisor.Qemu;
using Hull.Linux;
using Hull.Linux.Abi;
using Hull.Linux.Files;
using Hull.Linux.Processes;
using Hull.Linux.Syscalls;
using Hull.Runtime.State;

namespace Hull.Hypervisor.Disks;

/// <summary>
/// The jail of one run of <c>qemu-img</c>: the files of one operation at their own paths, no network, a user of its own with the
/// one capability to open those files whoever owns them, and a bound of its memory, because an image can ask for tables of any size.
/// </summary>
internal sealed class ImageJail : IDisposable
{
    private const string Prefix = "hull-image-";

    /// <summary>Twice what a check of an image of 16 TiB takes, with the stacks of all threads.</summary>
    internal const long MaximumMemory = 2L << 30;

    private readonly QemuJail _jail;

    public ImageJail(IReadOnlyList<string> readable, string? writable)
    {
        var target = writable is null ? null : Path.GetFullPath(writable);
        // Named by its maker, so that it is known when nobody will take it back.
        var maker = Environment.ProcessId;
        var directory = Directory.CreateTempSubdirectory($"{Prefix}{maker}-{ProcessIdentity.StartTimeOf(maker)}-");
        _jail = new QemuJail(directory.FullName, "/" + directory.Name, QemuJail.UserFor(directory.Name), [.. readable.Select(Path.GetFullPath).Distinct().Where(path => path != target && File.Exists(path))])
        {
            WritablePaths = target is null ? [] : [target],
            Capabilities = ["CAP_DAC_OVERRIDE"],
            AddressSpace = MaximumMemory,
        };
    }

    public ChildProcess Start(ChildProcessOptions options) =>
        _jail.Start(options.Program, options.Arguments, options.Stdout!, [], kvm: false, options.Stderr);

    public void Dispose() => _jail.Remove();

    /// <summary>Takes back what programs left that were killed in the middle of an operation.</summary>
    public static void RemoveRemains()
    {
        foreach (var directory in Directory.GetDirectories(Path.GetTempPath(), Prefix + "*").Where(IsAbandoned))
        {
            try
            {
                new QemuJail(directory, "/" + Path.GetFileName(directory), 0, []).Remove();
            }
            catch (Exception error) when (error is DirectoryNotFoundException or HullException { Kind: ErrorKind.NotFound })
            {
                // Another engine came first.
            }
        }
    }

    /// <summary>Root's, because everybody may make directories there, and its maker has ended.</summary>
    private static bool IsAbandoned(string directory)
    {
        if (Path.GetFileName(directory)[Prefix.Length..].Split('-') is not [var process, var start, _] || !int.TryParse(process, out var maker)) return false;
        var opened = FileCalls.OpenAt(Fcntl.AT_FDCWD, directory, Fcntl.O_PATH | Fcntl.O_NOFOLLOW);
        if (opened < 0) return false; // It went meanwhile.
        using var handle = new SafeFd((int)opened);
        return handle.Stat() is { IsDirectory: true, User: 0 } && ProcessIdentity.StartTimeOf(maker)?.ToString(CultureInfo.InvariantCulture) != start;
    }
}
