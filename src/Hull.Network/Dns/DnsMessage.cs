using System.Buffers.Binary;
using System.Net;
using System.Text;

namespace Hull.Network;

/// <summary>Response codes of RFC 1035, section 4.1.1.</summary>
internal enum DnsCode : byte
{
    NoError = 0,
    FormatError = 1,
    ServerFailure = 2,
    NameError = 3,
    NotImplemented = 4,
    Refused = 5,
}

/// <summary>Record types of RFC 1035, section 3.2.2, and RFC 3596.</summary>
internal static class DnsType
{
    public const ushort A = 1;
    public const ushort Ptr = 12;
    public const ushort Aaaa = 28;
    public const ushort Any = 255;
}

/// <summary>The only question of a query that the resolver answers or forwards.</summary>
/// <param name="Name">Labels joined by dots, lower case, without the root's dot; bytes outside printable ASCII stand as <c>\ddd</c>.</param>
/// <param name="End">Where the question ends in the message.</param>
/// <param name="PayloadSize">What the asker takes over UDP: 512, or what its EDNS record says (RFC 6891).</param>
internal readonly record struct DnsQuestion(ushort Id, string Name, ushort Type, ushort Class, bool RecursionDesired, int End, int PayloadSize);

/// <summary>
/// Reads queries and writes answers (RFC 1035). Input is hostile: every length is checked, names have at most 255 bytes
/// and no compression, and what is not a plain query with one question is answered with an error or not at all.
/// </summary>
internal static class DnsMessage
{
    public const int HeaderSize = 12;
    public const int MaximumUdpAnswer = 1232;
    private const ushort Response = 0x8000;
    private const ushort RecursionAvailable = 0x0080;

    /// <summary>Answers NoError with the question, or the code to refuse with; null for what deserves no answer at all.</summary>
    public static DnsCode? TryParseQuery(ReadOnlySpan<byte> message, out DnsQuestion question)
    {
        question = default;
        if (message.Length < HeaderSize || message.Length > 65535) return null;
        var flags = BinaryPrimitives.ReadUInt16BigEndian(message[2..]);
        if ((flags & Response) != 0) return null;
        question = new DnsQuestion(BinaryPrimitives.ReadUInt16BigEndian(message), "", 0, 0, (flags & 0x0100) != 0, HeaderSize, 512);
        if ((flags & 0x7800) != 0) return DnsCode.NotImplemented;
        if (BinaryPrimitives.ReadUInt16BigEndian(message[4..]) != 1) return DnsCode.FormatError;
        var position = HeaderSize;
        if (!TryReadName(message, ref position, out var name) || message.Length - position < 4) return DnsCode.FormatError;
        question = question with
        {
            Name = name,
            Type = BinaryPrimitives.ReadUInt16BigEndian(message[position..]),
            Class = BinaryPrimitives.ReadUInt16BigEndian(message[(position + 2)..]),
            End = position + 4,
        };
        question = question with { PayloadSize = PayloadSizeOf(message, question.End) };
        return DnsCode.NoError;
    }

    /// <summary>An answer without records.</summary>
    public static byte[] Refuse(ReadOnlySpan<byte> query, in DnsQuestion question, DnsCode code) =>
        Answer(query, question, code, [], []);

    /// <summary>An answer with one record for each address or name; beyond <paramref name="limit"/> bytes it is cut and marked so.</summary>
    public static byte[] Answer(ReadOnlySpan<byte> query, in DnsQuestion question, DnsCode code,
        IReadOnlyList<IPAddress> addresses, IReadOnlyList<string> names, uint timeToLive = 0, int limit = 65535)
    {
        var buffer = new List<byte>(512);
        buffer.AddRange(query[..question.End]);
        var header = new byte[HeaderSize];
        var truncated = false;
        ushort count = 0;
        foreach (var data in addresses.Select(a => a.GetAddressBytes()).Concat(names.Select(EncodeName)))
        {
            if (buffer.Count + 12 + data.Length > limit)
            {
                truncated = true;
                break;
            }

            WriteRecord(buffer, data, names.Count > 0 ? DnsType.Ptr : data.Length == 4 ? DnsType.A : DnsType.Aaaa, timeToLive);
            count++;
        }

        BinaryPrimitives.WriteUInt16BigEndian(header, question.Id);
        var flags = Response | RecursionAvailable | (question.RecursionDesired ? 0x0100 : 0) | (truncated ? 0x0200 : 0) | (int)code;
        BinaryPrimitives.WriteUInt16BigEndian(header.AsSpan(2), (ushort)flags);
        BinaryPrimitives.WriteUInt16BigEndian(header.AsSpan(4), (ushort)(question.End > HeaderSize ? 1 : 0));
        BinaryPrimitives.WriteUInt16BigEndian(header.AsSpan(6), count);
        for (var i = 0; i < HeaderSize; i++) buffer[i] = header[i];
        return [.. buffer];
    }

    /// <summary>Whether <paramref name="answer"/> answers exactly this query: same id, marked as a response, same question.</summary>
    public static bool Answers(ReadOnlySpan<byte> answer, ReadOnlySpan<byte> query, in DnsQuestion question) =>
        answer.Length >= question.End
        && answer[..2].SequenceEqual(query[..2])
        && (answer[2] & 0x80) != 0
        && BinaryPrimitives.ReadUInt16BigEndian(answer[4..]) == 1
        && EqualsIgnoringCase(answer[HeaderSize..question.End], query[HeaderSize..question.End]);

    /// <summary>The address that a name below in-addr.arpa or ip6.arpa stands for.</summary>
    public static IPAddress? TryParseReverse(string name)
    {
        if (name.EndsWith(".in-addr.arpa", StringComparison.Ordinal))
        {
            var parts = name[..^13].Split('.');
            if (parts.Length != 4) return null;
            Array.Reverse(parts);
            return parts.All(p => byte.TryParse(p, out _)) && IPAddress.TryParse(string.Join('.', parts), out var v4) ? v4 : null;
        }

        if (!name.EndsWith(".ip6.arpa", StringComparison.Ordinal) || name.Length != 72) return null;
        var digits = name[..63].Split('.');
        if (digits.Length != 32 || digits.Any(d => d.Length != 1 || !char.IsAsciiHexDigit(d[0]))) return null;
        Array.Reverse(digits);
        return new IPAddress(Convert.FromHexString(string.Concat(digits)));
    }

    private static bool TryReadName(ReadOnlySpan<byte> message, ref int position, out string name)
    {
        name = "";
        var text = new StringBuilder();
        var start = position;
        while (true)
        {
            if (position >= message.Length || position - start > 255) return false;
            int length = message[position++];
            if (length == 0) break;
            // 0xC0 marks compression, which a question has no use for; 0x40 and 0x80 are reserved.
            if (length > 63 || message.Length - position < length || position - start + length > 255) return false;
            if (text.Length > 0) text.Append('.');
            foreach (var b in message.Slice(position, length))
            {
                if (b is > 32 and < 127 and not ((byte)'.' or (byte)'\\')) text.Append(char.ToLowerInvariant((char)b));
                else text.Append('\\').Append(b.ToString("d3", System.Globalization.CultureInfo.InvariantCulture));
            }

            position += length;
        }

        name = text.ToString();
        return true;
    }

    /// <summary>The EDNS record, where it is the first one behind the question, as every resolver library writes it.</summary>
    private static int PayloadSizeOf(ReadOnlySpan<byte> message, int position)
    {
        if (BinaryPrimitives.ReadUInt32BigEndian(message[6..]) != 0 || BinaryPrimitives.ReadUInt16BigEndian(message[10..]) == 0) return 512;
        if (message.Length - position < 11 || message[position] != 0 || BinaryPrimitives.ReadUInt16BigEndian(message[(position + 1)..]) != 41) return 512;
        return Math.Clamp((int)BinaryPrimitives.ReadUInt16BigEndian(message[(position + 3)..]), 512, MaximumUdpAnswer);
    }

    private static void WriteRecord(List<byte> buffer, byte[] data, ushort type, uint timeToLive)
    {
        Span<byte> head = stackalloc byte[12];
        BinaryPrimitives.WriteUInt16BigEndian(head, 0xC000 | HeaderSize); // the question's name
        BinaryPrimitives.WriteUInt16BigEndian(head[2..], type);
        BinaryPrimitives.WriteUInt16BigEndian(head[4..], 1);
        BinaryPrimitives.WriteUInt32BigEndian(head[6..], timeToLive);
        BinaryPrimitives.WriteUInt16BigEndian(head[10..], (ushort)data.Length);
        buffer.AddRange(head);
        buffer.AddRange(data);
    }

    /// <summary>A name of ours in wire form; labels beyond 63 bytes are cut: they came through validation and cannot be.</summary>
    private static byte[] EncodeName(string name)
    {
        var bytes = new List<byte>();
        foreach (var label in name.Split('.', StringSplitOptions.RemoveEmptyEntries))
        {
            var text = Encoding.ASCII.GetBytes(label.Length > 63 ? label[..63] : label);
            bytes.Add((byte)text.Length);
            bytes.AddRange(text);
        }

        bytes.Add(0);
        return [.. bytes];
    }

    private static bool EqualsIgnoringCase(ReadOnlySpan<byte> one, ReadOnlySpan<byte> other)
    {
        if (one.Length != other.Length) return false;
        for (var i = 0; i < one.Length; i++)
        {
            if (Lower(one[i]) != Lower(other[i])) return false;
        }

        return true;
        static byte Lower(byte b) => b is >= (byte)'A' and <= (byte)'Z' ? (byte)(b + 32) : b;
    }
}
