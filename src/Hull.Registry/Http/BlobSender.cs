using System.Buffers;
using System.Net.Sockets;
using Hull.Linux.Files;

namespace Hull.Registry.Http;

/// <summary>
/// Sends stored files over a connection by the cheapest way: small ones together with the head in one write, middling ones
/// by what the socket takes at once by sendfile(2), large ones by sendfile(2) in a thread of its own. Threads are few; where
/// all are taken, and for as long as a client is slow, it goes on by ordinary writes, which hold no thread.
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
        if (file.Count > Small)
        {
            await stream.WriteAsync(head, cancellation).ConfigureAwait(false);
            head = default;
            if (socket is not null) file = file.After(await SendFileAsync(socket, file, touched).ConfigureAwait(false));
        }

        if (file.Count == 0) return;
        var buffer = ArrayPool<byte>.Shared.Rent(CopyBuffer);
        try
        {
            for (; file.Count > 0; head = default)
            {
                var began = Environment.TickCount64;
                file = file.After(await CopyAsync(stream, head, file, buffer, cancellation).ConfigureAwait(false));
                touched();
                // One that takes the buffer in time is not slow, or no longer: it gets a thread as soon as there is one.
                if (socket is not null && Environment.TickCount64 - began < Patience) file = file.After(await SendByThreadAsync(socket, file, touched).ConfigureAwait(false));
            }
        }
        finally
        {
            ArrayPool<byte>.Shared.Return(buffer);
        }
    }

    private ValueTask<long> SendFileAsync(Socket socket, FileBody file, Action touched) => file.Count < WorthAThread
        ? ValueTask.FromResult(FileSender.Send(socket.SafeHandle, file.Handle, file.Offset, file.Count, 0, touched))
        : SendByThreadAsync(socket, file, touched);

    /// <summary>Sends until the client is slow, and answers how much; nothing where there is no thread or it is not worth one.</summary>
    private async ValueTask<long> SendByThreadAsync(Socket socket, FileBody file, Action touched)
    {
        if (file.Count < WorthAThread || !_threads.Wait(0)) return 0;
        try
        {
            return await Task.Factory.StartNew(
                () => FileSender.Send(socket.SafeHandle, file.Handle, file.Offset, file.Count, Patience, touched),
                CancellationToken.None, TaskCreationOptions.LongRunning, TaskScheduler.Default).ConfigureAwait(false);
        }
        finally
        {
            _threads.Release();
        }
    }

    /// <summary>Writes the head and one buffer of the file, and answers how much of the file it was.</summary>
    private static async ValueTask<int> CopyAsync(Stream stream, ReadOnlyMemory<byte> head, FileBody file, byte[] buffer, CancellationToken cancellation)
    {
        head.CopyTo(buffer);
        var count = RandomAccess.Read(file.Handle, buffer.AsSpan(head.Length, (int)Math.Min(buffer.Length - head.Length, file.Count)), file.Offset);
        if (count == 0) throw new IOException("a stored blob is shorter than it was");
        await stream.WriteAsync(buffer.AsMemory(0, head.Length + count), cancellation).ConfigureAwait(false);
        return count;
    }
}
