using System.Buffers;
using System.Net.Sockets;
using Hull.Linux.Files;

namespace Hull.Registry.Http;

/// <summary>
/// Sends stored files over a connection by the cheapest way: small ones together with the head in one write, what the
/// socket takes at once by sendfile(2), the rest by sendfile(2) in a thread of its own. Threads are few; where all are
/// taken, and for a client that is slow, it goes on by ordinary writes, which hold no thread.
/// </summary>
internal sealed class BlobSender(int threads)
{
    /// <summary>Files up to here leave in one write with their head.</summary>
    private const int Small = 32 << 10;

    /// <summary>A rest up to here is not worth a thread.</summary>
    private const long WorthAThread = 1 << 20;

    private const int CopyBuffer = 64 << 10;

    /// <summary>Milliseconds without a byte after which a client is slow.</summary>
    private const int Patience = 500;

    private readonly SemaphoreSlim _threads = new(threads);

    /// <summary>Sends a head and a part of a file. <paramref name="socket"/> is null where the bytes must be encrypted.</summary>
    public async ValueTask SendAsync(Stream stream, Socket? socket, ReadOnlyMemory<byte> head, FileBody file, Action touched, CancellationToken cancellation)
    {
        var sent = 0L;
        if (file.Count > Small)
        {
            await stream.WriteAsync(head, cancellation).ConfigureAwait(false);
            head = default;
            if (socket is not null) sent = await SendFileAsync(socket, file, touched).ConfigureAwait(false);
        }

        if (sent < file.Count) await CopyAsync(stream, head, file with { Offset = file.Offset + sent, Count = file.Count - sent }, touched, cancellation).ConfigureAwait(false);
    }

    private async ValueTask<long> SendFileAsync(Socket socket, FileBody file, Action touched)
    {
        var sent = FileSender.Send(socket.SafeHandle, file.Handle, file.Offset, file.Count, 0, touched);
        if (file.Count - sent < WorthAThread || !_threads.Wait(0)) return sent;
        try
        {
            return sent + await Task.Factory.StartNew(
                () => FileSender.Send(socket.SafeHandle, file.Handle, file.Offset + sent, file.Count - sent, Patience, touched),
                CancellationToken.None, TaskCreationOptions.LongRunning, TaskScheduler.Default).ConfigureAwait(false);
        }
        finally
        {
            _threads.Release();
        }
    }

    private static async Task CopyAsync(Stream stream, ReadOnlyMemory<byte> head, FileBody file, Action touched, CancellationToken cancellation)
    {
        var buffer = ArrayPool<byte>.Shared.Rent(CopyBuffer);
        try
        {
            head.CopyTo(buffer);
            var filled = head.Length;
            for (var (position, left) = (file.Offset, file.Count); left > 0; filled = 0)
            {
                var count = RandomAccess.Read(file.Handle, buffer.AsSpan(filled, (int)Math.Min(buffer.Length - filled, left)), position);
                if (count == 0) throw new IOException("a stored blob is shorter than it was");
                await stream.WriteAsync(buffer.AsMemory(0, filled + count), cancellation).ConfigureAwait(false);
                touched();
                (position, left) = (position + count, left - count);
            }
        }
        finally
        {
            ArrayPool<byte>.Shared.Return(buffer);
        }
    }
}
