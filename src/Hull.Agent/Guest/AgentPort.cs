using Hull.Agent.Protocol;
using Hull.Core;
using Hull.Linux;
using Hull.Linux.Abi;
using Hull.Linux.Syscalls;

namespace Hull.Agent.Guest;

/// <summary>
/// One virtio-serial port, never blocking. While nobody has the port open on the host, the kernel reports a hang-up
/// all the time and reads give nothing: <see cref="Connected"/> is false then, and the loop leaves the port out of
/// what it waits for and looks again later.
/// </summary>
internal sealed class AgentPort : IDisposable
{
    private readonly SafeFd _device;
    private readonly FrameDecoder _decoder = new();
    private byte[] _pending = new byte[64 * 1024];
    private int _pendingStart;
    private int _pendingEnd;

    private AgentPort(SafeFd device, string name)
    {
        _device = device;
        Name = name;
    }

    public string Name { get; }

    public int Descriptor => _device.Value;

    public bool Connected { get; set; } = true;

    /// <summary>Nothing new is to be read for this port: it is about to fall silent.</summary>
    public bool Held { get; set; }

    /// <summary>Bytes that wait for the host to take them.</summary>
    public int PendingBytes => _pendingEnd - _pendingStart;

    /// <summary>Opens the port of that name; the kernel numbers ports and shows names in sysfs.</summary>
    public static AgentPort Open(string name)
    {
        const string ports = "/sys/class/virtio-ports";
        foreach (var port in Directory.Exists(ports) ? Directory.GetDirectories(ports) : [])
        {
            if (File.ReadAllText(Path.Combine(port, "name")).Trim() != name) continue;
            var device = "/dev/" + Path.GetFileName(port);
            return new AgentPort(Check.Descriptor(
                FileCalls.OpenAt(Fcntl.AT_FDCWD, device, Fcntl.O_RDWR | Fcntl.O_NONBLOCK), $"open {device}"), name);
        }

        throw HullException.NotFound($"this machine has no port {name}");
    }

    /// <summary>Hands every frame that has arrived to <paramref name="handle"/>.</summary>
    public void Receive(Action<Frame> handle)
    {
        while (true)
        {
            var buffer = _decoder.GetBuffer();
            var count = FileCalls.Read(_device.Value, buffer.Span);
            if (count == -(nint)Errno.EAGAIN) return;
            Check.Result(count, $"read port {Name}");
            if (count == 0)
            {
                Connected = false;
                return;
            }

            _decoder.Advance((int)count);
            while (_decoder.TryRead(out var frame)) handle(frame);
            if (count < buffer.Length) return;
        }
    }

    /// <summary>Queues a frame; <see cref="Flush"/> sends it.</summary>
    public void Send(FrameKind kind, ushort code, uint id, ReadOnlySpan<byte> payload)
    {
        Reserve(Frame.HeaderLength + payload.Length);
        Frame.WriteHeader(_pending.AsSpan(_pendingEnd), kind, code, id, payload.Length);
        payload.CopyTo(_pending.AsSpan(_pendingEnd + Frame.HeaderLength));
        _pendingEnd += Frame.HeaderLength + payload.Length;
    }

    /// <summary>Writes what the device takes now.</summary>
    public void Flush()
    {
        while (_pendingStart < _pendingEnd)
        {
            var count = FileCalls.Write(_device.Value, _pending.AsSpan(_pendingStart, _pendingEnd - _pendingStart));
            if (count == -(nint)Errno.EAGAIN || count == 0) return;
            Check.Result(count, $"write port {Name}");
            _pendingStart += (int)count;
        }

        (_pendingStart, _pendingEnd) = (0, 0);
    }

    public void Dispose() => _device.Dispose();

    private void Reserve(int count)
    {
        if (_pendingStart > 0)
        {
            Buffer.BlockCopy(_pending, _pendingStart, _pending, 0, PendingBytes);
            (_pendingStart, _pendingEnd) = (0, PendingBytes);
        }

        if (_pending.Length - _pendingEnd < count) Array.Resize(ref _pending, Math.Max(_pending.Length * 2, _pendingEnd + count));
    }
}
