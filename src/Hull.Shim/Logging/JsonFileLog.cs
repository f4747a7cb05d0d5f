using System.Buffers;
using System.Text;
using Hull.Linux.Syscalls;

namespace Hull.Shim.Logging;

/// <summary>
/// One JSON object per entry, <c>{"log":"…","stream":"stdout","time":"…"}</c>: the format that log collectors of
/// Docker hosts read. Entries read at one time share a time stamp and one write(2).
/// </summary>
internal sealed class JsonFileLog(RotatedFile file, string? attributes) : LogSink
{
    private static readonly SearchValues<byte> s_special = SearchValues.Create(SpecialBytes());

    private readonly byte[] _attributes = attributes is null ? [] : Encoding.UTF8.GetBytes(",\"attrs\":" + attributes);
    private readonly byte[] _time = new byte[TimeText.Length];
    private byte[] _buffer = new byte[4096];
    private int _length;

    public override void Dispose() => file.Dispose();

    protected override void Begin() => TimeText.Format(ClockCalls.RealTime(), _time);

    protected override void Entry(LogStream stream, ReadOnlySpan<byte> bytes)
    {
        // Six bytes for each input byte is the worst that escaping does.
        Reserve(bytes.Length * 6 + 128 + _attributes.Length);
        Put("{\"log\":\""u8);
        PutEscaped(bytes);
        Put(stream == LogStream.Output ? "\",\"stream\":\"stdout\""u8 : "\",\"stream\":\"stderr\""u8);
        Put(_attributes);
        Put(",\"time\":\""u8);
        Put(_time);
        Put("\"}\n"u8);
        if (_length > 256 * 1024) Commit();
    }

    protected override void Commit()
    {
        if (_length == 0) return;
        if (file.LostBytes > 0) SayWhatWasLost();
        file.Append(_buffer.AsSpan(0, _length));
        _length = 0;
        if (_buffer.Length > 64 * 1024) _buffer = new byte[4096];
    }

    private void SayWhatWasLost()
    {
        var note = Encoding.UTF8.GetBytes(
            $"{{\"log\":\"hull: {file.LostBytes} bytes of log were lost, the disk was full\\n\",\"stream\":\"stderr\",\"time\":\"{Encoding.ASCII.GetString(_time)}\"}}\n");
        if (file.Append(note)) file.ForgetLoss();
    }

    private void PutEscaped(ReadOnlySpan<byte> bytes)
    {
        while (!bytes.IsEmpty)
        {
            var special = bytes.IndexOfAny(s_special);
            if (special < 0)
            {
                Put(bytes);
                return;
            }

            Put(bytes[..special]);
            bytes = bytes[special..];
            bytes = bytes[PutSpecial(bytes)..];
        }
    }

    /// <summary>Writes one character that cannot stand as it is; answers how many bytes it had.</summary>
    private int PutSpecial(ReadOnlySpan<byte> bytes)
    {
        var first = bytes[0];
        if (first >= 128)
        {
            // Not UTF-8: JSON has no way to say that byte.
            if (Rune.DecodeFromUtf8(bytes, out _, out var consumed) == OperationStatus.Done) Put(bytes[..consumed]);
            else Put("\\ufffd"u8);
            return Math.Max(1, consumed);
        }

        switch (first)
        {
            case (byte)'\n': Put("\\n"u8); break;
            case (byte)'\r': Put("\\r"u8); break;
            case (byte)'\t': Put("\\t"u8); break;
            case (byte)'"': Put("\\\""u8); break;
            case (byte)'\\': Put("\\\\"u8); break;
            default:
                Put("\\u00"u8);
                Put([Hex(first >> 4), Hex(first & 15)]);
                break;
        }

        return 1;
    }

    /// <summary>Controls, quotes, what HTML gives a meaning, and all that is not ASCII.</summary>
    private static byte[] SpecialBytes()
    {
        var special = new List<byte>();
        for (var value = 0; value < 256; value++)
        {
            if (value is < 32 or >= 127 or '"' or '\\' or '<' or '>' or '&') special.Add((byte)value);
        }

        return [.. special];
    }

    private static byte Hex(int digit) => (byte)"0123456789abcdef"[digit];

    private void Put(ReadOnlySpan<byte> bytes)
    {
        bytes.CopyTo(_buffer.AsSpan(_length));
        _length += bytes.Length;
    }

    private void Reserve(int count)
    {
        if (_buffer.Length - _length < count) Array.Resize(ref _buffer, Math.Max(_buffer.Length * 2, _length + count));
    }
}

/// <summary>RFC 3339 with nine digits, in UTC, without the allocations of a formatter.</summary>
internal static class TimeText
{
    public const int Length = 30;

    public static void Format(long nanoseconds, Span<byte> text)
    {
        var at = DateTime.UnixEpoch.AddTicks(nanoseconds / 100);
        Digits(text, 0, 4, at.Year);
        text[4] = (byte)'-';
        Digits(text, 5, 2, at.Month);
        text[7] = (byte)'-';
        Digits(text, 8, 2, at.Day);
        text[10] = (byte)'T';
        Digits(text, 11, 2, at.Hour);
        text[13] = (byte)':';
        Digits(text, 14, 2, at.Minute);
        text[16] = (byte)':';
        Digits(text, 17, 2, at.Second);
        text[19] = (byte)'.';
        Digits(text, 20, 9, (int)(nanoseconds % 1_000_000_000));
        text[29] = (byte)'Z';
    }

    private static void Digits(Span<byte> text, int start, int count, int value)
    {
        for (var i = start + count - 1; i >= start; i--, value /= 10) text[i] = (byte)('0' + value % 10);
    }
}
