using System.Buffers.Binary;
using Hull.Engine.Drivers;

namespace Hull.Api.Docker;

/// <summary>
/// The frames in which two output streams share one connection: one byte of stream (1 output, 2 error, 3 a message of
/// the engine), three zero bytes, four bytes of length in network order, then the bytes.
/// </summary>
public static class StreamFraming
{
    /// <summary>Bytes before each frame's content.</summary>
    public const int HeaderSize = 8;

    /// <summary>The stream on which the engine reports its own failures.</summary>
    public const byte EngineError = 3;

    /// <summary>The stream of the exit code, on Hull's own endpoints only.</summary>
    private const byte Exit = 4;

    public const string MultiplexedType = "application/vnd.docker.multiplexed-stream";
    public const string RawType = "application/vnd.docker.raw-stream";

    public static void WriteHeader(Span<byte> header, byte stream, int count)
    {
        header[..4].Clear();
        header[0] = stream;
        BinaryPrimitives.WriteInt32BigEndian(header[4..], count);
    }

    /// <summary>One whole frame.</summary>
    public static byte[] Frame(byte stream, ReadOnlySpan<byte> content)
    {
        var frame = new byte[HeaderSize + content.Length];
        WriteHeader(frame, stream, content.Length);
        content.CopyTo(frame.AsSpan(HeaderSize));
        return frame;
    }

    /// <summary>The last frame of Hull's own streams: the exit code in four bytes.</summary>
    public static byte[] ExitFrame(int code)
    {
        var bytes = new byte[4];
        BinaryPrimitives.WriteInt32BigEndian(bytes, code);
        return Frame(Exit, bytes);
    }

    public static byte[] Frame(OutputStream stream, ReadOnlySpan<byte> content) => Frame((byte)stream, content);
}
