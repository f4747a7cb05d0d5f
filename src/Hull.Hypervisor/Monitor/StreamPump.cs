using Hull.Hypervisor.Agent;
using Hull.Linux;
using Hull.Linux.Syscalls;

namespace Hull.Hypervisor.Monitor;

/// <summary>Moves bytes between descriptors of this machine and streams of a guest.</summary>
internal static class StreamPump
{
    /// <summary>Writes a guest's output to a descriptor until its end. A reader that is gone does not stop the guest's writer.</summary>
    public static async Task DrainAsync(AgentStream stream, SafeFd target)
    {
        var buffer = new byte[64 * 1024];
        var open = true;
        int count;
        while ((count = await stream.ReadAsync(buffer).ConfigureAwait(false)) > 0)
        {
            if (open) open = WriteAll(target, buffer.AsSpan(0, count));
        }
    }

    /// <summary>Reads a descriptor on a thread of its own, because it may block for ever, and sends all to the guest.</summary>
    public static void Feed(SafeFd source, AgentStream stream)
    {
        var thread = new Thread(() => Copy(source, stream)) { IsBackground = true, Name = "input" };
        thread.Start();
    }

    /// <summary>Whether the descriptor is /dev/null, of which no stream need be made.</summary>
    public static bool IsNull(SafeFd descriptor) => new FileInfo($"/proc/self/fd/{descriptor.Value}").LinkTarget == "/dev/null";

    private static void Copy(SafeFd source, AgentStream stream)
    {
        var buffer = new byte[32 * 1024];
        try
        {
            while (true)
            {
                var count = FileCalls.Read(source.Value, buffer);
                if (count <= 0) break;
                if (!stream.WriteAsync(buffer.AsMemory(0, (int)count)).AsTask().GetAwaiter().GetResult()) return;
            }

            stream.EndAsync().GetAwaiter().GetResult();
        }
        catch (Exception cause) when (cause is IOException or ObjectDisposedException or OperationCanceledException)
        {
            // The machine has ended.
        }
    }

    private static bool WriteAll(SafeFd target, ReadOnlySpan<byte> bytes)
    {
        while (!bytes.IsEmpty)
        {
            var count = FileCalls.Write(target.Value, bytes);
            if (count <= 0) return false;
            bytes = bytes[(int)count..];
        }

        return true;
    }
}
