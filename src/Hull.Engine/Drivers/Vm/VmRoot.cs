using Hull.Agent.Protocol;
using Hull.Engine.Files;
using Hull.Engine.Workloads;
using Hull.Hypervisor.Monitor;
using Hull.Linux;

namespace Hull.Engine.Drivers.Vm;

/// <summary>
/// The root of a container in a machine, reached through its agent: its disk is the guest's own, and the host's kernel
/// never reads a file system that a guest wrote.
/// </summary>
/// <param name="owner">Ends with this, such as a machine that was made for it.</param>
internal sealed class VmRoot(VmControl control, IAsyncDisposable? owner = null) : IRootAccess
{
    public SafeFd? Descriptor => null;

    public async Task<PathStat> StatAsync(string path, CancellationToken cancellationToken)
    {
        using var answer = new MemoryStream();
        await control.ArchiveAsync(ArchiveVerbs.Stat, path, null, answer, cancellationToken).ConfigureAwait(false);
        var reader = new WireReader(answer.ToArray());
        return new PathStat(reader.Text(), reader.I64(), reader.U32(), new DateTimeOffset(reader.I64(), TimeSpan.Zero), reader.Text());
    }

    public Task ReadAsync(string path, Stream destination, CancellationToken cancellationToken) =>
        control.ArchiveAsync(ArchiveVerbs.Read, path, null, destination, cancellationToken);

    public Task ReadTreeAsync(Stream destination, CancellationToken cancellationToken) =>
        control.ArchiveAsync(ArchiveVerbs.ReadTree, "/", null, destination, cancellationToken);

    public async Task WriteAsync(ArchivePutRequest request, Stream archive, CancellationToken cancellationToken)
    {
        var verb = ArchiveVerbs.Write + (request.NoOverwriteDirNonDir ? ArchiveVerbs.NoOverwriteSuffix : "") + (request.CopyOwner ? ArchiveVerbs.OwnersSuffix : "");
        var plain = await ArchiveInput.OpenAsync(archive, cancellationToken).ConfigureAwait(false);
        await control.ArchiveAsync(verb, request.Path, plain, null, cancellationToken).ConfigureAwait(false);
    }

    public ValueTask DisposeAsync() => owner?.DisposeAsync() ?? ValueTask.CompletedTask;
}
