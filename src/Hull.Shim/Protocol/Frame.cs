using System.Buffers.Binary;
using System.Text;
using Hull.Core;

namespace Hull.Shim.Protocol;

/// <summary>
/// Messages between engine and shim. A frame is a little-endian 32-bit length of what follows, a kind, a 32-bit tag
/// that ties an answer to its request (0 for events), and fields in fixed order: integers little-endian, texts and lists
/// with a 32-bit count before them. A newer side may append fields; an older one ignores what it does not know.
/// </summary>
public enum FrameKind : byte
{
    /// <summary>Engine: version. Shim: version, state.</summary>
    Hello = 1,

    /// <summary>Engine: <see cref="CreateMessage"/>. Shim: pid.</summary>
    Create = 2,

    /// <summary>Engine: nothing. Shim: start time.</summary>
    Start = 3,

    /// <summary>Engine: <see cref="ExecMessage"/>, on a connection of its own that then carries the streams. Shim: pid.</summary>
    Exec = 4,

    /// <summary>Engine: exec id (empty for init), signal.</summary>
    Signal = 5,

    /// <summary>Engine: exec id, columns, rows.</summary>
    Resize = 6,

    /// <summary>
    /// Engine: exec id, streams; the connection then carries the streams, or the one whose descriptor came with the request.
    /// Shim, on that connection: whether there is a terminal.
    /// </summary>
    Attach = 7,

    /// <summary>Engine: nothing. Shim: <see cref="StatusMessage"/>.</summary>
    Status = 8,

    /// <summary>Engine: nothing. Kills what still runs and lets the shim end.</summary>
    Shutdown = 9,

    /// <summary>
    /// Engine: runtime program, what it is to make ready. For a shim that has no instance yet: the program is started, and answers
    /// when it is ready. The next <see cref="Create"/> that names a resident program is done by it.
    /// </summary>
    Warm = 10,

    /// <summary>Shim: done, for requests without an answer of their own.</summary>
    Ok = 64,

    /// <summary>Shim: error kind, message.</summary>
    Error = 65,

    /// <summary>Shim, tag 0: exec id (empty for init), exit code, time, out of memory, reason.</summary>
    Exited = 66,

    /// <summary>Shim, tag 0: the kernel killed a process of the instance for memory, which runs on.</summary>
    OutOfMemory = 67,
}

/// <summary>Limits and versions of the protocol.</summary>
public static class Wire
{
    /// <summary>Raised when a message changes in a way that an older shim would misread.</summary>
    public const int Version = 1;

    /// <summary>Length and kind and tag.</summary>
    public const int HeaderSize = 9;

    /// <summary>The longest frame either side accepts.</summary>
    public const int MaxFrame = 4 << 20;

    /// <summary>Header of a piece of output: stream, three zeros, big-endian length. Output only; input is raw.</summary>
    public const int OutputHeaderSize = 8;

    /// <summary>Name of the shim's socket in the instance's runtime directory.</summary>
    public const string SocketName = "shim.sock";

    /// <summary>Name of the exit record in the instance's state directory.</summary>
    public const string ExitRecordName = "exit.json";

    public static void WriteOutputHeader(Span<byte> header, byte stream, int length)
    {
        header[0] = stream;
        header[1] = header[2] = header[3] = 0;
        BinaryPrimitives.WriteInt32BigEndian(header[4..], length);
    }
}

/// <summary>Builds one frame.</summary>
public sealed class FrameWriter
{
    private byte[] _buffer = new byte[256];
    private int _length;

    public FrameWriter(FrameKind kind, uint tag)
    {
        _length = Wire.HeaderSize;
        _buffer[4] = (byte)kind;
        BinaryPrimitives.WriteUInt32LittleEndian(_buffer.AsSpan(5), tag);
    }

    public FrameWriter Write(int value)
    {
        BinaryPrimitives.WriteInt32LittleEndian(Reserve(4), value);
        return this;
    }

    public FrameWriter Write(long value)
    {
        BinaryPrimitives.WriteInt64LittleEndian(Reserve(8), value);
        return this;
    }

    public FrameWriter Write(bool value) => Write(value ? 1 : 0);

    public FrameWriter Write(string? text)
    {
        text ??= "";
        var count = Encoding.UTF8.GetByteCount(text);
        Write(count);
        Encoding.UTF8.GetBytes(text, Reserve(count));
        return this;
    }

    public FrameWriter Write(ReadOnlySpan<byte> bytes)
    {
        Write(bytes.Length);
        bytes.CopyTo(Reserve(bytes.Length));
        return this;
    }

    public FrameWriter Write(IReadOnlyList<string> texts)
    {
        Write(texts.Count);
        for (var i = 0; i < texts.Count; i++) Write(texts[i]);
        return this;
    }

    /// <summary>The finished frame.</summary>
    public ReadOnlyMemory<byte> Finish()
    {
        BinaryPrimitives.WriteInt32LittleEndian(_buffer, _length - 4);
        return _buffer.AsMemory(0, _length);
    }

    private Span<byte> Reserve(int count)
    {
        if (_buffer.Length - _length < count) Array.Resize(ref _buffer, Math.Max(_buffer.Length * 2, _length + count));
        var span = _buffer.AsSpan(_length, count);
        _length += count;
        return span;
    }
}

/// <summary>Reads the fields of one frame, in the order they were written. A frame too short is <see cref="ErrorKind.DataCorrupted"/>.</summary>
public ref struct FrameReader(ReadOnlySpan<byte> frame)
{
    private ReadOnlySpan<byte> _rest = frame[5..];

    public FrameKind Kind { get; } = (FrameKind)frame[0];

    public uint Tag { get; } = BinaryPrimitives.ReadUInt32LittleEndian(frame[1..]);

    /// <summary>Nothing is left to read: fields a newer side would have appended are missing.</summary>
    public readonly bool AtEnd => _rest.IsEmpty;

    public int ReadInt32() => BinaryPrimitives.ReadInt32LittleEndian(Take(4));

    public long ReadInt64() => BinaryPrimitives.ReadInt64LittleEndian(Take(8));

    public bool ReadBool() => ReadInt32() != 0;

    public string ReadText() => Encoding.UTF8.GetString(Take(ReadInt32()));

    public byte[] ReadBytes() => Take(ReadInt32()).ToArray();

    public string[] ReadTexts()
    {
        var count = ReadInt32();
        if (count < 0 || count > _rest.Length / 4) throw Short();
        var texts = new string[count];
        for (var i = 0; i < count; i++) texts[i] = ReadText();
        return texts;
    }

    private ReadOnlySpan<byte> Take(int count)
    {
        if (count < 0 || count > _rest.Length) throw Short();
        var taken = _rest[..count];
        _rest = _rest[count..];
        return taken;
    }

    private static HullException Short() => HullException.Corrupted("a message of the shim protocol ends too early");
}
