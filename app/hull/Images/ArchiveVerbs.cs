using Hull.Cli.Verbs;
using Hull.Core;
using Hull.Core.CommandLine;
using Hull.Images;
using Hull.Images.Snapshots;
using Hull.Oci.Image;

namespace Hull.Cli.Images;

/// <summary><c>hull save</c>.</summary>
internal sealed class SaveVerb : ImageVerb
{
    private string? _output;
    private ArchiveFormat _archive = ArchiveFormat.Docker;

    public override string Usage => "save [options] IMAGE...";

    public override void Define(FlagSet flags)
    {
        base.Define(flags);
        flags.Value("output", 'o', "file", "where to write (standard output)", value => _output = value)
            .Value("format", null, "docker|oci", "docker (which is an OCI layout, too) or oci", value => _archive = value switch
            {
                "docker" or "docker-archive" => ArchiveFormat.Docker,
                "oci" or "oci-archive" => ArchiveFormat.Oci,
                _ => throw HullException.Invalid($"unknown archive format '{value}': expected docker or oci"),
            });
    }

    protected override async Task<int> RunAsync(Invocation call, CancellationToken cancellation)
    {
        call.Expect(1);
        var images = OpenStore();
        foreach (var name in call.Arguments) images.Resolve(name);
        await OutputFile.WriteAsync(_output, "an archive", output => images.SaveAsync(call.Arguments, _archive, output, cancellation)).ConfigureAwait(false);
        return 0;
    }
}

/// <summary><c>hull load</c>.</summary>
internal sealed class LoadVerb : ImageVerb
{
    private string? _input;
    private bool _quiet;

    public override string Usage => "load [options]";

    public override void Define(FlagSet flags)
    {
        base.Define(flags);
        flags.Value("input", 'i', "file", "what to read (standard input)", value => _input = value)
            .Switch("quiet", 'q', "say nothing meanwhile", value => _quiet = value);
        DefineFormat(flags);
    }

    protected override async Task<int> RunAsync(Invocation call, CancellationToken cancellation)
    {
        call.Expect(0, 0);
        await using var input = OutputFile.OpenInput(_input);
        IReadOnlyList<Image> loaded;
        using (var display = TransferDisplay.For(_quiet ? null : "load"))
            loaded = await OpenStore().LoadAsync(input, display, cancellation).ConfigureAwait(false);
        foreach (var image in loaded)
        {
            if (image.References.Count == 0) Tell(call, $"Loaded image ID: {image.Id}", ("Name", null), ("ID", image.Id.ToString()));
            foreach (var reference in image.References) Tell(call, $"Loaded image: {reference.Familiar}", ("Name", reference.Familiar), ("ID", image.Id.ToString()));
        }

        return 0;
    }
}

/// <summary><c>hull import</c>.</summary>
internal sealed class ImportVerb : ImageVerb
{
    private readonly List<string> _changes = [];
    private string? _message;
    private string? _platform;

    public override string Usage => "import [options] FILE|- [NAME[:TAG]]";

    public override void Define(FlagSet flags)
    {
        base.Define(flags);
        flags.Value("message", 'm', "text", "comment of the image", value => _message = value)
            .Value("change", 'c', "instruction", "CMD, ENTRYPOINT, ENV, EXPOSE, LABEL, STOPSIGNAL, USER, VOLUME or WORKDIR", _changes.Add)
            .Value("platform", null, "os/arch", "platform of the image (this machine's)", value => _platform = value);
        DefineFormat(flags);
    }

    protected override async Task<int> RunAsync(Invocation call, CancellationToken cancellation)
    {
        call.Expect(1, 2);
        var reference = call.Arguments.Count > 1 ? ImageReference.Parse(call.Arguments[1]).WithDefaultTag() : null;
        var config = ConfigChange.Apply(new ContainerDefaults(), _changes);
        await using var input = OutputFile.OpenInput(call.Argument(0, "file") is "-" ? null : call.Arguments[0]);
        var image = await OpenStore().ImportAsync(input, reference, config, _message, ParsePlatform(_platform), cancellation).ConfigureAwait(false);
        Tell(call, image.Id.ToString(), ("Name", reference?.Familiar), ("ID", image.Id.ToString()));
        return 0;
    }
}

/// <summary><c>hull image export</c>.</summary>
internal sealed class ExportVerb : ImageVerb
{
    private string? _output;
    private string? _platform;

    public override string Usage => "image export [options] IMAGE";

    public override void Define(FlagSet flags)
    {
        base.Define(flags);
        flags.Value("output", 'o', "file", "where to write (standard output)", value => _output = value)
            .Value("platform", null, "os/arch", "platform of an image that has several", value => _platform = value);
    }

    protected override async Task<int> RunAsync(Invocation call, CancellationToken cancellation)
    {
        call.Expect(1, 1);
        var images = OpenStore();
        var image = images.Resolve(call.Argument(0, "image"), ParsePlatform(_platform));
        var chain = await images.EnsureUnpackedAsync(image, cancellation: cancellation).ConfigureAwait(false)
            ?? throw HullException.Invalid($"image {call.Arguments[0]} has no layers to export");
        var key = "export-" + RandomId.Short(RandomId.New());
        images.Snapshotter.View(key, chain);
        try
        {
            await OutputFile.WriteAsync(_output, "a tar", output => images.ExportAsync(key, output, cancellation)).ConfigureAwait(false);
        }
        finally
        {
            images.Snapshotter.Remove(key);
        }

        return 0;
    }
}

/// <summary>Files that are written whole or not at all, and standard streams.</summary>
internal static class OutputFile
{
    /// <summary>Writes to a file, which appears when it is complete, or to standard output, unless that is a terminal.</summary>
    public static async Task WriteAsync(string? path, string what, Func<Stream, Task> write)
    {
        if (path is null or "-")
        {
            if (!Console.IsOutputRedirected) throw HullException.Invalid($"{what} is not for a terminal: give a file with -o, or redirect the output");
            await using var output = Console.OpenStandardOutput();
            await write(output).ConfigureAwait(false);
            return;
        }

        var temporary = $"{path}.{RandomId.Short(RandomId.New())}.partial";
        try
        {
            await using (var file = new FileStream(temporary, FileMode.CreateNew, FileAccess.Write, FileShare.None, 1 << 16)) await write(file).ConfigureAwait(false);
            File.Move(temporary, path, overwrite: true);
        }
        catch
        {
            File.Delete(temporary);
            throw;
        }
    }

    public static Stream OpenInput(string? path)
    {
        if (path is null or "-")
        {
            return Console.IsInputRedirected ? Console.OpenStandardInput() : throw HullException.Invalid("there is nothing to read: give a file with -i, or redirect the input");
        }

        try
        {
            return File.OpenRead(path);
        }
        catch (Exception error) when (error is FileNotFoundException or DirectoryNotFoundException)
        {
            throw HullException.NotFound($"{path} does not exist");
        }
        catch (UnauthorizedAccessException error)
        {
            throw new HullException(ErrorKind.PermissionDenied, $"{path} cannot be read", error);
        }
    }
}
