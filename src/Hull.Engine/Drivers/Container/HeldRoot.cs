using Hull.Engine.Files;
using Hull.Engine.Workloads;
using Hull.Linux;
using Hull.Linux.Archives;

namespace Hull.Engine.Drivers.Container;

/// <summary>A root held by descriptor.</summary>
/// <param name="owners">The user namespace whose ids its archives have, where that is not this process's.</param>
internal sealed class HeldRoot(SafeFd root, IDisposable? owner = null, OwnerMap? owners = null) : IRootAccess
{
    public SafeFd? Descriptor => root;

    public Task<PathStat> StatAsync(string path, CancellationToken cancellationToken)
    {
        var found = ArchiveReader.Stat(root.Value, path);
        return Task.FromResult(new PathStat(found.Name, found.Size, found.Mode, found.ModifiedAt, found.LinkTarget));
    }

    public Task ReadAsync(string path, Stream destination, CancellationToken cancellationToken) =>
        Task.Run(() => ArchiveReader.Write(root.Value, path, destination, cancellationToken, owners), cancellationToken);

    public Task ReadTreeAsync(Stream destination, CancellationToken cancellationToken) =>
        Task.Run(() => ArchiveReader.WriteTree(root.Value, destination, cancellationToken, owners), cancellationToken);

    public Task WriteAsync(ArchivePutRequest request, Stream archive, CancellationToken cancellationToken) =>
        ArchiveInput.ExtractAsync(root.Value, ArchiveInput.ToExtract(request) with { Owners = owners }, archive, cancellationToken);

    public ValueTask DisposeAsync()
    {
        root.Dispose();
        owner?.Dispose();
        return ValueTask.CompletedTask;
    }
}
