using System.Globalization;
using System.Text.Json;
using Hull.Linux.Processes;

namespace Hull.Hypervisor.Disks;

/// <summary>
/// Disk image files, through the program <c>qemu-img</c>. Arguments are passed as they are, never through a shell, and
/// file names are given with the <c>file:</c> driver spelled out, so that no name is taken for a URL or an option.
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
        return RunAsync(["create", "-q", "-f", format, path, Number(bytes)], cancellationToken);
    }

    /// <summary>Creates a qcow2 image that holds only what differs from its backing file: a linked clone.</summary>
    public static Task CreateOverlayAsync(string path, string backing, string backingFormat,
        CancellationToken cancellationToken = default) =>
        RunAsync(["create", "-q", "-f", "qcow2", "-b", backing, "-F", RequireFormat(backingFormat), path], cancellationToken);

    /// <summary>Copies an image into another format; an image that stands on others becomes whole.</summary>
    /// <param name="sourceFormat">Format of the source; never guessed here, so that no guest can choose it.</param>
    /// <param name="options">Format options such as <c>subformat=streamOptimized</c>; null for none.</param>
    public static Task ConvertAsync(string source, string sourceFormat, string target, string targetFormat,
        string? options = null, CancellationToken cancellationToken = default)
    {
        List<string> arguments = ["convert", "-f", RequireFormat(sourceFormat), "-O", RequireFormat(targetFormat)];
        if (options is not null) arguments.AddRange(["-o", options]);
        return RunAsync([.. arguments, source, target], cancellationToken);
    }

    /// <summary>Makes an image larger. Making one smaller loses data and is refused.</summary>
    public static async Task GrowAsync(string path, string format, long bytes, CancellationToken cancellationToken = default)
    {
        var now = await InspectAsync(path, format, cancellationToken).ConfigureAwait(false);
        if (bytes < now.VirtualBytes)
            throw HullException.Invalid($"disk {path} has {now.VirtualBytes} bytes and cannot shrink to {bytes} without losing data");
        await RunAsync(["resize", "-q", "-f", format, path, Number(bytes)], cancellationToken).ConfigureAwait(false);
    }

    /// <summary>Checks the metadata of an image; throws <see cref="ErrorKind.DataCorrupted"/> with what was found.</summary>
    public static async Task CheckAsync(string path, string format, CancellationToken cancellationToken = default)
    {
        if (format is not ("qcow2" or "vdi" or "vhdx" or "vmdk")) return;
        var result = await StartAsync(["check", "-f", format, path], null, cancellationToken).ConfigureAwait(false);
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
        var result = await StartAsync([.. arguments, path], InspectionLimit, cancellationToken).ConfigureAwait(false);
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

    private static string RequireFormat(string format) => Formats.Contains(format)
        ? format
        : throw HullException.Invalid($"unknown disk format '{format}': expected one of {string.Join(", ", Formats)}");

    private static async Task RunAsync(string[] arguments, CancellationToken cancellationToken)
    {
        var result = await StartAsync(arguments, null, cancellationToken).ConfigureAwait(false);
        if (!result.Status.Succeeded) throw HullException.Internal($"qemu-img {arguments[0]} failed: {FirstLine(result)}");
    }

    private static async Task<ProcessResult> StartAsync(string[] arguments, TimeSpan? limit, CancellationToken cancellationToken)
    {
        try
        {
            return await ChildProcess.RunAsync(new ChildProcessOptions("qemu-img", arguments), timeout: limit,
                cancellationToken: cancellationToken).ConfigureAwait(false);
        }
        catch (HullException error) when (error.Kind is ErrorKind.CommandNotFound or ErrorKind.NotFound)
        {
            throw new HullException(ErrorKind.Unsupported, "the program qemu-img is missing: install the package qemu-utils", error);
        }
    }

    private static string FirstLine(ProcessResult result)
    {
        var text = result.ErrorText.Length > 0 ? result.ErrorText : result.OutputText;
        var line = text.Split('\n', StringSplitOptions.RemoveEmptyEntries).FirstOrDefault() ?? result.Status.ToString();
        return line.StartsWith("qemu-img: ", StringComparison.Ordinal) ? line["qemu-img: ".Length..] : line;
    }

    private static string Number(long value) => value.ToString(CultureInfo.InvariantCulture);
}
