using Hull.Core;
using Hull.Images.Archive;
using Hull.Images.Transfer;
using Hull.Oci.Image;

namespace Hull.Images;

/// <content>Images in files.</content>
public sealed partial class ImageService
{
    public Task SaveAsync(IReadOnlyList<string> names, ArchiveFormat format, Stream output, CancellationToken cancellation = default)
    {
        if (names.Count == 0) throw HullException.Invalid("no image to save: give at least one name");
        var images = names.Select(name =>
        {
            var image = Resolve(name);
            ImageReference? reference = ImageReference.TryParse(name, out var parsed) && FindTarget(name) is not null ? parsed.WithDefaultTag() : null;
            return (Image: image, Names: reference is not null ? [reference] : image.References);
        }).ToList();
        return Task.Run(() =>
        {
            using var lease = Content.Leases.Begin();
            foreach (var (image, _) in images)
            {
                lease.Pin(image.Target.Digest);
                lease.Pin(image.Manifest.Digest);
            }

            new ImageArchiveWriter(Content, output, cancellation).Write(images, format);
        }, cancellation);
    }

    public async Task<IReadOnlyList<Image>> LoadAsync(Stream input, IProgress<TransferProgress>? progress = null, CancellationToken cancellation = default)
    {
        try
        {
            using var lease = Content.Leases.Begin();
            var archive = new ImageArchiveReader(Content, lease, _limits);
            var found = await Task.Run(() => archive.Read(input, cancellation), cancellation).ConfigureAwait(false);
            var images = new List<Image>();
            foreach (var (target, platform, names) in found)
            {
                var image = await AdoptAsync(target, platform, names.Count > 0 ? names[0] : null, progress, cancellation).ConfigureAwait(false);
                foreach (var name in names.Skip(1)) Content.References.Set(name.WithDefaultTag().Canonical, target);
                images.Add(_catalog.Open(image.Target, platform));
            }

            return images;
        }
        catch (HullException error) when (error.Kind is ErrorKind.DataCorrupted or ErrorKind.ResourceExhausted or ErrorKind.Unsupported)
        {
            CollectGarbage(CancellationToken.None);
            throw;
        }
    }
}
