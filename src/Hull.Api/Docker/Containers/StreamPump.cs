using Hull.Api.Http;
using Hull.Core;
using Hull.Engine.Drivers;

namespace Hull.Api.Docker.Containers;

/// <summary>Carries bytes between a hijacked connection and the standard streams of a process until the output ends.</summary>
internal static class StreamPump
{
    private const int BufferSize = 32 * 1024;
    private static readonly TimeSpan DeparturePoll = TimeSpan.FromSeconds(2);

    /// <param name="connection">The client.</param>
    /// <param name="attachment">The process.</param>
    /// <param name="framed">Whether output is framed; with a terminal it never is.</param>
    /// <param name="input">Whether what the client sends is input; it is read in any case, to notice its end.</param>
    /// <returns>Whether the client left, or the engine stops, before the output ended.</returns>
    public static async Task<bool> RunAsync(HijackedConnection connection, IAttachment attachment, bool framed, bool input)
    {
        using var done = CancellationTokenSource.CreateLinkedTokenSource(connection.Ended);
        var forward = ForwardInputAsync(connection, attachment, input, done);
        try
        {
            await ForwardOutputAsync(connection, attachment, framed, done.Token).ConfigureAwait(false);
            return false;
        }
        catch (Exception e) when (e is IOException or OperationCanceledException or ObjectDisposedException)
        {
            // The client left. The process does not notice.
            return true;
        }
        finally
        {
            await done.CancelAsync().ConfigureAwait(false);
            await forward.ConfigureAwait(false);
        }
    }

    private static async Task ForwardOutputAsync(HijackedConnection connection, IAttachment attachment, bool framed, CancellationToken cancellationToken)
    {
        var buffer = new byte[StreamFraming.HeaderSize + BufferSize];
        while (true)
        {
            var chunk = await attachment.ReadAsync(buffer.AsMemory(StreamFraming.HeaderSize), cancellationToken).ConfigureAwait(false);
            if (chunk.Count == 0) return;
            if (!framed)
            {
                await connection.WriteAsync(buffer.AsMemory(StreamFraming.HeaderSize, chunk.Count), cancellationToken).ConfigureAwait(false);
                continue;
            }

            StreamFraming.WriteHeader(buffer, (byte)chunk.Stream, chunk.Count);
            await connection.WriteAsync(buffer.AsMemory(0, StreamFraming.HeaderSize + chunk.Count), cancellationToken).ConfigureAwait(false);
        }
    }

    private static async Task ForwardInputAsync(HijackedConnection connection, IAttachment attachment, bool input, CancellationTokenSource done)
    {
        var cancellationToken = done.Token;
        var buffer = new byte[BufferSize];
        try
        {
            int count;
            while ((count = await connection.ReadAsync(buffer, cancellationToken).ConfigureAwait(false)) > 0)
            {
                if (input) await attachment.WriteInputAsync(buffer.AsMemory(0, count), cancellationToken).ConfigureAwait(false);
            }

            if (input) await attachment.CloseInputAsync().ConfigureAwait(false);
            // A quiet process would keep the connection of a client that is long gone.
            while (!connection.ClientHasLeft) await Task.Delay(DeparturePoll, cancellationToken).ConfigureAwait(false);
            await done.CancelAsync().ConfigureAwait(false);
        }
        catch (Exception e) when (e is IOException or OperationCanceledException or ObjectDisposedException or InvalidOperationException or HullException)
        {
            // The process reads no more, or the client left: what it still prints is carried on.
        }
    }
}
