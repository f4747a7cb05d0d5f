using Hull.Engine.Workloads;
using Hull.Images.Archive;
using Hull.Linux.Archives;

namespace Hull.Engine.Files;

/// <summary>Archives as clients send them: plain or compressed. Codecs run in this process.</summary>
internal static class ArchiveInput
{
    public static Task<Stream> OpenAsync(Stream archive, CancellationToken cancellationToken) =>
        Task.Run<Stream>(() => LayerStream.Open(archive, UnpackLimits.Default), cancellationToken);

    public static async Task ExtractAsync(int root, ArchivePutRequest request, Stream archive, CancellationToken cancellationToken, OwnerMap? owners = null) =>
        await ArchiveWriter.ExtractAsync(root, ToExtract(request) with { Owners = owners }, await OpenAsync(archive, cancellationToken).ConfigureAwait(false),
            cancellationToken).ConfigureAwait(false);

    public static ExtractRequest ToExtract(ArchivePutRequest request) => new(request.Path, request.NoOverwriteDirNonDir, request.CopyOwner);
}
