namespace Hull.Images.Content;

/// <param name="Blobs">Blobs removed.</param>
/// <param name="Snapshots">Committed snapshots removed.</param>
/// <param name="Layers">Unpacked layers removed.</param>
/// <param name="Bytes">Bytes of disk space freed.</param>
public sealed record GarbageReport(int Blobs, int Snapshots, int Layers, long Bytes);
