using System.Buffers.Binary;
using Hull.Agent.Protocol;
using Hull.Linux;
using Hull.Linux.Abi;
using Hull.Linux.Syscalls;

namespace Hull.Agent.Guest;

/// <summary>Output of a process on its way to the host: read only as far as the host has granted credit.</summary>
internal sealed class OutputStream(uint id, SafeFd descriptor, AgentPort port, Action<OutputStream> ended) : IEventSource
{
    // One buffer serves all streams: the loop has one thread, and frames are copied into the port's queue.
    private static readonly byte[] s_buffer = new byte[Frame.MaximumData];

    private int _credit = Frame.InitialCredit;

    public uint Id => id;

    public int Descriptor => descriptor.Value;

    /// <summary>A port that is behind holds back its sources, so that memory stays bounded.</summary>
    public short Interest => !port.Held && _credit > 0 && port.PendingBytes < Frame.InitialCredit ? (short)Waiting.POLLIN : (short)0;

    public void Grant(int bytes) => _credit += bytes;

    /// <summary>Goes on as a stream of another host, which has granted nothing yet but the beginning.</summary>
    public void Rename(uint newId) => (id, _credit) = (newId, Frame.InitialCredit);

    public void Ready(short events)
    {
        var count = FileCalls.Read(descriptor.Value, s_buffer.AsSpan(0, Math.Min(s_buffer.Length, _credit)));
        if (count == -(nint)Errno.EAGAIN) return;
        // A terminal whose last user is gone answers EIO, which is its end of file.
        if (count <= 0)
        {
            End();
            return;
        }

        _credit -= (int)count;
        port.Send(FrameKind.Data, 0, id, s_buffer.AsSpan(0, (int)count));
    }

    /// <summary>Says that nothing follows, and closes.</summary>
    public void End()
    {
        port.Send(FrameKind.End, 0, id, []);
        ended(this);
    }

    public void Close() => descriptor.Dispose();
}

/// <summary>Input of a process as it comes from the host; what the process does not take yet is kept, within the credit.</summary>
internal sealed class InputStream(uint id, SafeFd descriptor, bool keepOpen, AgentPort port, Action<InputStream> ended) : IEventSource
{
    private readonly Queue<byte[]> _waiting = new();
    private int _offset;
    private bool _ending;

    public uint Id => id;

    public int Descriptor => descriptor.Value;

    public short Interest => _waiting.Count > 0 ? (short)Waiting.POLLOUT : (short)0;

    public void Receive(ReadOnlySpan<byte> bytes)
    {
        if (_ending || bytes.IsEmpty) return;
        _waiting.Enqueue(bytes.ToArray());
        Ready(0);
    }

    /// <summary>Goes on as a stream of another host.</summary>
    public void Rename(uint newId) => id = newId;

    /// <summary>The host sends no more: end of file for the process, once it has taken what waits.</summary>
    public void Finish()
    {
        _ending = true;
        Ready(0);
    }

    public void Ready(short events)
    {
        while (_waiting.TryPeek(out var next))
        {
            var count = FileCalls.Write(descriptor.Value, next.AsSpan(_offset));
            if (count == -(nint)Errno.EAGAIN) return;
            if (count < 0)
            {
                // Nobody reads any more: the host is told to stop, as a pipe would by SIGPIPE.
                port.Send(FrameKind.Reset, 0, id, []);
                ended(this);
                return;
            }

            _offset += (int)count;
            if (_offset < next.Length) continue;
            _waiting.Dequeue();
            _offset = 0;
            Grant(next.Length);
        }

        // The end of a terminal is its hang-up, which is not what a closed input means.
        if (_ending && !keepOpen) ended(this);
    }

    public void Close() => descriptor.Dispose();

    private void Grant(int bytes)
    {
        Span<byte> payload = stackalloc byte[4];
        BinaryPrimitives.WriteUInt32LittleEndian(payload, (uint)bytes);
        port.Send(FrameKind.Credit, 0, id, payload);
    }
}
