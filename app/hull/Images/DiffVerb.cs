using System.Text.Json.Nodes;
using Hull.Client.Formatting;
using Hull.Cli.Verbs;
using Hull.Core;
using Hull.Core.CommandLine;
using Hull.Images;
using Hull.Images.Bootstrap;
using Hull.Images.Snapshots;

namespace Hull.Cli.Images;

/// <summary><c>hull image diff</c>: what the topmost layer of an image changes, or how another image differs.</summary>
internal sealed class DiffVerb : ImageVerb
{
    private string? _format;

    public override string Usage => "image diff [options] IMAGE [OTHER]";

    public override void Define(FlagSet flags)
    {
        base.Define(flags);
        flags.Value("format", null, "template", "json, table, or a template of Go's kind", value => _format = value);
    }

    protected override async Task<int> RunAsync(Invocation call, CancellationToken cancellation)
    {
        call.Expect(1, 2);
        var images = OpenStore();
        var first = images.Resolve(call.Argument(0, "image"));
        var second = call.Arguments.Count > 1 ? images.Resolve(call.Arguments[1]) : first;
        foreach (var image in (Image[])[first, second]) await images.EnsureUnpackedAsync(image, cancellation: cancellation).ConfigureAwait(false);
        var below = call.Arguments.Count > 1 ? first.Chain : ChainId.Of(first.DiffIds.SkipLast(1));
        await using var lower = await ExportAsync(images, below, cancellation).ConfigureAwait(false);
        await using var upper = await ExportAsync(images, second.Chain, cancellation).ConfigureAwait(false);
        Print(call, LayerDifference.Compare(lower, upper));
        return 0;
    }

    private void Print(Invocation call, IReadOnlyList<SnapshotChange> changes)
    {
        var rows = changes.Select(change => new JsonObject { ["Kind"] = Letter(change.Kind), ["Path"] = change.Path });
        call.Output.Write(_format is null
            ? string.Concat(changes.Select(change => $"{Letter(change.Kind)} {change.Path}\n"))
            : OutputFormat.Parse(_format).Rows(rows, [new TableColumn("KIND", "{{.Kind}}"), new TableColumn("PATH", "{{.Path}}")]));
    }

    /// <summary>The root file system of a stack of layers as a tar in a file without a name.</summary>
    private static async Task<Stream> ExportAsync(IImageService images, ChainId? chain, CancellationToken cancellation)
    {
        var path = Path.Combine(images.Content.Root, "ingest", "diff-" + RandomId.Short(RandomId.New()));
        var file = new FileStream(path, FileMode.CreateNew, FileAccess.ReadWrite, FileShare.Delete, 1 << 16, FileOptions.DeleteOnClose);
        if (chain is not { } top)
        {
            // Nothing at all is the tar that ends at once.
            await file.WriteAsync(new byte[1024], cancellation).ConfigureAwait(false);
        }
        else
        {
            var key = "diff-" + RandomId.Short(RandomId.New());
            images.Snapshotter.View(key, top);
            try
            {
                await images.ExportAsync(key, file, cancellation).ConfigureAwait(false);
            }
            finally
            {
                images.Snapshotter.Remove(key);
            }
        }

        file.Position = 0;
        return file;
    }

    private static string Letter(ChangeKind kind) => kind switch
    {
        ChangeKind.Added => "A",
        ChangeKind.Deleted => "D",
        _ => "C",
    };
}
