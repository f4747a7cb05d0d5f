using System.Buffers;
using System.Text;
using Hull.Core;

namespace Hull.Linux.Syscalls;

/// <summary>
/// Text as the kernel has it. File names are bytes; those that are no UTF-8 survive a round trip through
/// <see cref="string"/>: such a byte becomes the lone surrogate U+DC80..U+DCFF, and comes back as that byte.
/// </summary>
public static class NativeText
{
    public static string Decode(ReadOnlySpan<byte> bytes)
    {
        if (bytes.IsEmpty) return "";
        if (Ascii.IsValid(bytes) || System.Text.Unicode.Utf8.IsValid(bytes)) return Encoding.UTF8.GetString(bytes);
        var text = new StringBuilder(bytes.Length);
        Span<char> pair = stackalloc char[2];
        while (!bytes.IsEmpty)
        {
            if (Rune.DecodeFromUtf8(bytes, out var rune, out var consumed) == OperationStatus.Done)
            {
                text.Append(pair[..rune.EncodeToUtf16(pair)]);
            }
            else
            {
                for (var i = 0; i < consumed; i++) text.Append((char)(0xDC00 + bytes[i]));
            }

            bytes = bytes[consumed..];
        }

        return text.ToString();
    }

    /// <summary>Upper bound of the bytes of <paramref name="text"/> with the terminating NUL.</summary>
    public static int MaxBytes(string text) => text.Length * 3 + 1;

    /// <summary>Encodes with a terminating NUL; answers the length without it. A NUL inside is refused.</summary>
    public static int Encode(string text, Span<byte> destination)
    {
        if (text.Contains('\0'))
            throw HullException.Invalid($"'{text.Replace('\0', '?')}' contains a NUL character, which no name of the kernel can");
        var written = 0;
        for (var rest = text.AsSpan(); !rest.IsEmpty;)
        {
            if (System.Text.Unicode.Utf8.FromUtf16(rest, destination[written..], out var read, out var count, replaceInvalidSequences: false)
                == OperationStatus.Done)
            {
                written += count;
                break;
            }

            written += count;
            var odd = rest[read];
            if (odd is < '\uDC80' or > '\uDCFF') throw HullException.Invalid("a name contains half a surrogate pair");
            destination[written++] = (byte)(odd - 0xDC00);
            rest = rest[(read + 1)..];
        }

        destination[written] = 0;
        return written;
    }

    /// <summary>The encoded bytes with their NUL, on the heap.</summary>
    public static byte[] ToBytes(string text)
    {
        var buffer = new byte[MaxBytes(text)];
        var length = Encode(text, buffer);
        return buffer[..(length + 1)];
    }
}

/// <summary>A NUL-terminated name for the time of one call: on the stack where it fits, else from a pool.</summary>
internal ref struct CString
{
    internal const int StackSize = 512;
    private byte[]? _rented;
    private readonly ReadOnlySpan<byte> _bytes;

    internal CString(string text, Span<byte> stack)
    {
        var needed = NativeText.MaxBytes(text);
        var buffer = needed <= stack.Length ? stack : _rented = ArrayPool<byte>.Shared.Rent(needed);
        var length = NativeText.Encode(text, buffer);
        _bytes = buffer[..(length + 1)];
    }

    internal readonly ref readonly byte GetPinnableReference() => ref _bytes.GetPinnableReference();

    internal void Dispose()
    {
        if (_rented is not null) ArrayPool<byte>.Shared.Return(_rented);
        _rented = null;
    }
}
