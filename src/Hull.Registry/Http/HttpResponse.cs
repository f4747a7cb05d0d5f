using Microsoft.Win32.SafeHandles;

namespace Hull.Registry.Http;

/// <summary>An answer: its head, and at most one kind of body.</summary>
public sealed class HttpResponse(int status) : IDisposable
{
    public int Status { get; } = status;

    public HttpHeaders Headers { get; } = new();

    /// <summary>The body as bytes.</summary>
    public ReadOnlyMemory<byte> Bytes { get; init; }

    /// <summary>The body as a part of a file; closed after sending.</summary>
    public FileBody? File { get; init; }

    /// <summary>The body as whatever this writes, exactly <see cref="FedLength"/> bytes.</summary>
    public Func<Stream, CancellationToken, Task>? Feed { get; init; }

    public long FedLength { get; init; }

    /// <summary>Bytes the body has, or would have after GET.</summary>
    public long Length => File?.Count ?? (Feed is not null ? FedLength : AnnouncedLength ?? Bytes.Length);

    /// <summary>For HEAD: the length of the body that is not sent.</summary>
    public long? AnnouncedLength { get; init; }

    public HttpResponse With(string name, string value)
    {
        Headers.Add(name, value);
        return this;
    }

    /// <summary>Called when the answer has been sent, or could not be.</summary>
    public Action? Ended { get; init; }

    public void Dispose()
    {
        File?.Handle.Dispose();
        Ended?.Invoke();
    }
}

/// <summary>A part of an open file.</summary>
public sealed record FileBody(SafeFileHandle Handle, long Offset, long Count)
{
    /// <summary>What is left of it after <paramref name="sent"/> bytes.</summary>
    internal FileBody After(long sent) => this with { Offset = Offset + sent, Count = Count - sent };
}
