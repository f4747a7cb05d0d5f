using Hull.Core.Tar;
using Hull.Engine.Workloads;
using Hull.Images.Archive;
using Hull.Linux.Archives;

namespace Hull.Engine.Files;

/// <summary>Archives as clients send them: plain or compressed. Codecs run in this process.</summary>
internal static class ArchiveInput
{
    public static Task<Stream> OpenAsync(Stream archive, CancellationToken cancellationToken) =>
        Task.Run<Stream>(() => LayerStream.Open(archive, UnpackLimits.Default), cancellationToken);

    public static Task ExtractAsync(int root, ExtractRequest request, Stream archive, CancellationToken cancellationToken) => Task.Run(() =>
    {
        var plain = LayerStream.Open(archive, UnpackLimits.Default);
        ArchiveWriter.Extract(root, request, plain, cancellationToken);
    }, cancellationToken);

    public static ExtractRequest ToExtract(ArchivePutRequest request) => new(request.Path, request.NoOverwriteDirNonDir, request.CopyOwner);
}
