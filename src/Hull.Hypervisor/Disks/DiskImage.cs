using System.Globalization;
using System.Text.Json;
using Hull.Linux.Processes;

namespace Hull.Hypervisor.Disks;

/// <summary>
/// Disk image files, through the program <c>qemu-img</c>. Arguments are passed as they are, never through a shell. The
/// program runs in a jail with the files that are named here and no others: whatever an image that a guest or a stranger
/// wrote says of files it stands on, they are not there to be opened.
/// </summary>
public static class DiskImage
{
    /// <summary>Formats a machine can run from, and import and export accept.</summary>
    public static readonly IReadOnlyList<string> Formats = ["qcow2", "raw", "vmdk", "vdi", "vhdx", "vpc"];

    private static readonly TimeSpan InspectionLimit = TimeSpan.FromSeconds(30);

    /// <summary>Creates an empty image.</summary>
    /// <param name="bytes">Size the guest sees, a multiple of 512.</param>
    public static Task CreateAsync(string path, string format, long bytes, CancellationToken cancellationToken = default)
    {
        RequireFormat(format);
        if (bytes <= 0 || bytes % 512 != 0)
            throw HullException.Invalid($"disk size {bytes} is not a positive multiple of 512 bytes");
        return RunAsync(["create", "-q", "-f", format, path, Number(bytes)], [], path, cancellationToken);
    }

    /// <summary>Creates a qcow2 image that holds only what differs from its backing file: a linked clone.</summary>
    /// <param name="backing">As the image is to name it: relative names are taken from the image's directory.</param>
    /// <param name="below">The files that the backing file stands on.</param>
    public static Task CreateOverlayAsync(string path, string backing, string backingFormat,
        CancellationToken cancellationToken = default, IReadOnlyList<string>? below = null) =>
        RunAsync(["create", "-q", "-f", "qcow2", "-b", backing, "-F", RequireFormat(backingFormat), path],
            [Path.Combine(Path.GetDirectoryName(Path.GetFullPath(path))!, backing), .. below ?? []], path, cancellationToken);

    /// <summary>Copies an image into another format; an image that stands on others becomes whole.</summary>
    /// <param name="sourceFormat">Format of the source; never guessed here, so that no guest can choose it.</param>
    /// <param name="options">Format options such as <c>subformat=streamOptimized</c>; null for none.</param>
    /// <param name="below">The files that the source stands on, directly or not.</param>
    public static Task ConvertAsync(string source, string sourceFormat, string target, string targetFormat,
        string? options = null, CancellationToken cancellationToken = default, IReadOnlyList<string>? below = null)
    {
        List<string> arguments = ["convert", "-f", RequireFormat(sourceFormat), "-O", RequireFormat(targetFormat)];
        if (options is not null) arguments.AddRange(["-o", options]);
        return RunAsync([.. arguments, source, target], [source, .. below ?? []], target, cancellationToken);
    }

    /// <summary>Makes an image larger. Making one smaller loses data and is refused.</summary>
    public static async Task GrowAsync(string path, string format, long bytes, CancellationToken cancellationToken = default)
    {
        var now = await InspectAsync(path, format, cancellationToken).ConfigureAwait(false);
        if (bytes < now.VirtualBytes)
            throw HullException.Invalid($"disk {path} has {now.VirtualBytes} bytes and cannot shrink to {bytes} without losing data");
        await RunAsync(["resize", "-q", "-f", format, path, Number(bytes)], [], path, cancellationToken).ConfigureAwait(false);
    }

    /// <summary>
    /// Copies into a qcow2 image what it had from its backing file and the new one has not, and lets it stand on that.
    /// </summary>
    /// <param name="backing">The new backing file; null for none.</param>
    /// <param name="below">All files that the image stands on now or will.</param>
    public static Task RebaseAsync(string path, string? backing, IReadOnlyList<string> below, CancellationToken cancellationToken = default) =>
        RunAsync(["rebase", "-q", "-f", "qcow2", "-b", backing ?? "", .. backing is null ? Array.Empty<string>() : ["-F", "qcow2"], path], below, path, cancellationToken);

    /// <summary>Checks the metadata of an image; throws <see cref="ErrorKind.DataCorrupted"/> with what was found.</summary>
    /// <param name="below">The files that it stands on.</param>
    public static async Task CheckAsync(string path, string format, CancellationToken cancellationToken = default, IReadOnlyList<string>? below = null)
    {
        if (format is not ("qcow2" or "vdi" or "vhdx" or "vmdk")) return;
        var result = await StartAsync(["check", "-f", format, path], [path, .. below ?? []], null, null, cancellationToken).ConfigureAwait(false);
        // 3: only clusters that are taken and not used, which costs space and no data (qemu-img(1)).
        if (result.Status.Code is not (0 or 3) || result.Status.Signal != 0)
            throw HullException.Corrupted($"disk {path} is damaged: {FirstLine(result)}");
    }

    /// <summary>What an image says of itself.</summary>
    /// <param name="format">The format to read it as; null lets qemu-img look, which is only for files just imported.</param>
    public static async Task<DiskImageInfo> InspectAsync(string path, string? format = null,
        CancellationToken cancellationToken = default)
    {
        List<string> arguments = ["info", "--output=json", "-U"];
        if (format is not null) arguments.AddRange(["-f", RequireFormat(format)]);
        var result = await StartAsync([.. arguments, path], [path], null, InspectionLimit, cancellationToken).ConfigureAwait(false);
        if (!result.Status.Succeeded) throw HullException.Invalid($"'{path}' cannot be read as a disk image: {FirstLine(result)}");
        using var json = JsonDocument.Parse(result.Output);
        return DiskImageInfo.From(json.RootElement);
    }

    /// <summary>
    /// Looks at an image that came from outside and refuses what would reach other files of the host: a backing file, an
    /// external data file, extents elsewhere. Answers what it is.
    /// </summary>
    public static async Task<DiskImageInfo> InspectForeignAsync(string path, CancellationToken cancellationToken = default)
    {
        var info = await InspectAsync(path, null, cancellationToken).ConfigureAwait(false);
        RequireFormat(info.Format);
        if (info.BackingFile is not null)
            throw HullException.Invalid($"disk image {path} stands on another file ('{info.BackingFile}'): flatten it first with qemu-img convert");
        foreach (var file in info.OtherFiles.Where(file => Path.GetFullPath(file) != Path.GetFullPath(path)))
            throw HullException.Invalid($"disk image {path} keeps its data in another file ('{file}'): convert it to one file first");
        return info;
    }

    /// <summary>Takes back what operations left whose process was killed. Only root leaves anything.</summary>
    public static void RemoveRemains()
    {
        if (Environment.IsPrivilegedProcess) ImageJail.RemoveRemains();
    }

    private static string RequireFormat(string format) => Formats.Contains(format)
        ? format
        : throw HullException.Invalid($"unknown disk format '{format}': expected one of {string.Join(", ", Formats)}");

    /// <param name="target">The file that is written, and made where it is missing.</param>
    private static async Task RunAsync(string[] arguments, IReadOnlyList<string> readable, string target, CancellationToken cancellationToken)
    {
        var made = !File.Exists(target);
        if (made) await new FileStream(target, FileMode.CreateNew, FileAccess.Write).DisposeAsync().ConfigureAwait(false);
        try
        {
            var result = await StartAsync(arguments, readable, target, null, cancellationToken).ConfigureAwait(false);
            if (!result.Status.Succeeded) throw HullException.Internal($"qemu-img {arguments[0]} failed: {FirstLine(result)}");
        }
        catch when (made)
        {
            File.Delete(target);
            throw;
        }
    }

    private static async Task<ProcessResult> StartAsync(string[] arguments, IReadOnlyList<string> readable, string? writable, TimeSpan? limit, CancellationToken cancellationToken)
    {
        var program = ProgramPath.Find("qemu-img")
            ?? throw HullException.Unsupported("the program qemu-img is missing: install the package qemu-utils");
        var options = new ChildProcessOptions(program, arguments);
        // Whoever is not root can neither make a jail nor needs one: what an image could reach, its owner could.
        if (!Environment.IsPrivilegedProcess) return await ChildProcess.RunAsync(options, timeout: limit, cancellationToken: cancellationToken).ConfigureAwait(false);
        using var jail = new ImageJail(readable, writable);
        return await Task.Run(() => ChildProcess.Run(options, timeout: limit, cancellationToken: cancellationToken, starter: jail.Start), cancellationToken).ConfigureAwait(false);
    }

    private static string FirstLine(ProcessResult result)
    {
        var text = result.ErrorText.Length > 0 ? result.ErrorText : result.OutputText;
        var line = text.Split('\n', StringSplitOptions.RemoveEmptyEntries).FirstOrDefault() ?? result.Status.ToString();
        return line.StartsWith("qemu-img: ", StringComparison.Ordinal) ? line["qemu-img: ".Length..] : line;
    }

    private static string Number(long value) => value.ToString(CultureInfo.InvariantCulture);
}
