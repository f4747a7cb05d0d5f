using System.Buffers.Binary;
using System.Globalization;
using System.Text.Json;
using Hull.Engine.Drivers;
using Hull.Linux;
using Hull.Linux.Syscalls;

namespace Hull.Engine.Logs;

/// <summary>One JSON object per line.</summary>
internal sealed class JsonFileFormat : ILogFormat
{
    private const int Block = 64 * 1024;

    public int TryParse(ReadOnlySpan<byte> bytes, out LogEntry? entry)
    {
        entry = null;
        var newline = bytes.IndexOf((byte)'\n');
        if (newline < 0) return 0;
        try
        {
            entry = ParseLine(bytes[..newline]);
        }
        catch (Exception error) when (error is JsonException or FormatException or InvalidOperationException)
        {
            // A line that a power failure cut short says nothing, and the next one is whole.
        }

        return newline + 1;
    }

    public (long Offset, long Found) FindTail(SafeFd file, long length, long count)
    {
        var buffer = new byte[Block];
        long found = 0;
        var position = length;
        while (position > 0)
        {
            var size = (int)Math.Min(Block, position);
            position -= size;
            var read = (int)Check.Result(FileCalls.ReadAt(file.Value, buffer.AsSpan(0, size), position), $"read the log");
            for (var i = read - 1; i >= 0; i--)
            {
                if (buffer[i] != (byte)'\n') continue;
                // The file's very last newline ends an entry and begins none.
                if (position + i + 1 == length) continue;
                found++;
                if (found == count) return (position + i + 1, found);
            }
        }

        // No newline comes before the first entry of the file.
        return (0, length == 0 ? 0 : Math.Min(found + 1, count));
    }

    private static LogEntry? ParseLine(ReadOnlySpan<byte> line)
    {
        var reader = new Utf8JsonReader(line);
        byte[]? text = null;
        var stream = OutputStream.Output;
        DateTimeOffset at = default;
        Dictionary<string, string>? attributes = null;
        reader.Read();
        while (reader.Read() && reader.TokenType == JsonTokenType.PropertyName)
        {
            var name = reader.GetString();
            reader.Read();
            switch (name)
            {
                case "log":
                    var raw = new byte[reader.ValueSpan.Length];
                    var length = reader.CopyString(raw);
                    text = raw[..length];
                    break;
                case "stream" when reader.ValueTextEquals("stderr"u8):
                    stream = OutputStream.Error;
                    break;
                case "time":
                    at = DateTimeOffset.Parse(reader.GetString()!, CultureInfo.InvariantCulture, DateTimeStyles.AssumeUniversal);
                    break;
                case "attrs":
                    attributes = ReadAttributes(ref reader);
                    break;
                default:
                    reader.Skip();
                    break;
            }
        }

        return text is null ? null : new LogEntry(at, stream, text, attributes);
    }

    private static Dictionary<string, string> ReadAttributes(ref Utf8JsonReader reader)
    {
        var attributes = new Dictionary<string, string>();
        while (reader.Read() && reader.TokenType == JsonTokenType.PropertyName)
        {
            var name = reader.GetString()!;
            reader.Read();
            attributes[name] = reader.TokenType == JsonTokenType.String ? reader.GetString()! : "";
        }

        return attributes;
    }
}

/// <summary>The shim's binary records: see <c>LocalLog</c> there.</summary>
internal sealed class LocalFormat : ILogFormat
{
    private const int Least = 9;
    private const int Most = 1 << 20;

    public int TryParse(ReadOnlySpan<byte> bytes, out LogEntry? entry)
    {
        entry = null;
        if (bytes.Length < 4) return 0;
        var size = BinaryPrimitives.ReadInt32LittleEndian(bytes);
        // Not a record: nothing in the file after it can be trusted.
        if (size is < Least or > Most) return bytes.Length;
        if (bytes.Length < size + 8) return 0;
        var nanoseconds = BinaryPrimitives.ReadInt64LittleEndian(bytes[4..]);
        entry = new LogEntry(DateTimeOffset.UnixEpoch.AddTicks(nanoseconds / 100), (OutputStream)bytes[12], bytes.Slice(13, size - Least).ToArray());
        return size + 8;
    }

    public (long Offset, long Found) FindTail(SafeFd file, long length, long count)
    {
        long found = 0;
        var position = length;
        var trailer = new byte[4];
        while (position >= Least + 8 && found < count)
        {
            if (FileCalls.ReadAt(file.Value, trailer, position - 4) != 4) break;
            var size = BinaryPrimitives.ReadInt32LittleEndian(trailer);
            if (size is < Least or > Most || size + 8 > position) break;
            position -= size + 8;
            found++;
        }

        return (position, found);
    }
}
