using System.Buffers.Binary;
using System.Text;
using Hull.Core;

namespace Hull.Linux.DBus;

/// <summary>Kinds of messages (D-Bus specification, "Message Format").</summary>
internal enum DBusMessageKind : byte
{
    Call = 1,
    Reply = 2,
    Error = 3,
    Signal = 4,
}

/// <summary>A message with the header fields this client needs.</summary>
internal sealed record DBusMessage
{
    /// <summary>Bytes of a header up to and with the size of its array of fields.</summary>
    internal const int FixedSize = 16;

    /// <summary>More than any answer a service manager has for us.</summary>
    private const int MaxSize = 4 << 20;
    private const byte Path = 1, Interface = 2, Member = 3, ErrorName = 4, ReplySerial = 5, Destination = 6, SignatureField = 8;

    internal DBusMessageKind Kind { get; init; }

    internal uint Serial { get; init; }

    /// <summary>The call this answers.</summary>
    internal uint Answers { get; init; }

    internal string Object { get; init; } = "";

    internal string InterfaceName { get; init; } = "";

    internal string Name { get; init; } = "";

    internal string Error { get; init; } = "";

    internal string Service { get; init; } = "";

    internal string Signature { get; init; } = "";

    internal byte[] Body { get; init; } = [];

    internal byte[] Write()
    {
        var fields = new List<(byte Code, string Signature, string Text)>();
        Add(Path, "o", Object);
        Add(Interface, "s", InterfaceName);
        Add(Member, "s", Name);
        Add(ErrorName, "s", Error);
        Add(Destination, "s", Service);
        Add(SignatureField, "g", Signature);
        if (Answers != 0) fields.Add((ReplySerial, "u", ""));
        var writer = new DBusWriter().Byte((byte)'l').Byte((byte)Kind).Byte(0).Byte(1).UInt32((uint)Body.Length).UInt32(Serial);
        writer.Array(8, fields, (output, field) =>
        {
            output.Align(8).Byte(field.Code).Signature(field.Signature);
            if (field.Signature == "u") output.UInt32(Answers);
            else if (field.Signature == "g") output.Signature(field.Text);
            else output.Text(field.Text);
        });
        return writer.Align(8).Append(Body).Bytes.ToArray();

        void Add(byte code, string signature, string text)
        {
            if (text.Length > 0) fields.Add((code, signature, text));
        }
    }

    /// <summary>The size of a whole message by its first bytes.</summary>
    internal static int SizeOf(ReadOnlySpan<byte> start)
    {
        if (start[0] != 'l' || start[3] != 1) throw HullException.Corrupted("D-Bus: a message is not little-endian of version 1");
        var body = BinaryPrimitives.ReadUInt32LittleEndian(start[4..]);
        var fields = BinaryPrimitives.ReadUInt32LittleEndian(start[12..]);
        if (body > MaxSize || fields > MaxSize) throw HullException.Corrupted($"D-Bus: a message has more than {MaxSize} bytes");
        return FixedSize + (((int)fields + 7) & ~7) + (int)body;
    }

    internal static DBusMessage Parse(byte[] bytes)
    {
        var size = (int)BinaryPrimitives.ReadUInt32LittleEndian(bytes.AsSpan(4));
        var message = new DBusMessage
        {
            Kind = (DBusMessageKind)bytes[1], Serial = BinaryPrimitives.ReadUInt32LittleEndian(bytes.AsSpan(8)), Body = bytes[^size..],
        };
        var end = FixedSize + (int)BinaryPrimitives.ReadUInt32LittleEndian(bytes.AsSpan(12));
        var reader = new DBusReader(bytes.AsMemory(0, bytes.Length - size), FixedSize);
        while (reader.Position < end)
        {
            reader.Align(8);
            var code = reader.Byte();
            switch (reader.Signature())
            {
                case "u":
                    var number = reader.UInt32();
                    if (code == ReplySerial) message = message with { Answers = number };
                    break;
                case "g":
                    var signature = reader.Signature();
                    if (code == SignatureField) message = message with { Signature = signature };
                    break;
                case "s" or "o":
                    message = message.WithText(code, reader.Text());
                    break;
                case var other:
                    throw HullException.Corrupted($"D-Bus: a header field has the type '{other}'");
            }
        }

        return message;
    }

    /// <summary>Reads the body.</summary>
    internal DBusReader Read() => new(Body, 0);

    private DBusMessage WithText(byte code, string text) => code switch
    {
        Path => this with { Object = text },
        Interface => this with { InterfaceName = text },
        Member => this with { Name = text },
        ErrorName => this with { Error = text },
        Destination => this with { Service = text },
        _ => this,
    };
}

/// <summary>Reads values in D-Bus's marshalling; what does not fit is DataCorrupted.</summary>
internal sealed class DBusReader(ReadOnlyMemory<byte> bytes, int position)
{
    internal int Position { get; private set; } = position;

    internal void Align(int size) => Take((size - (Position % size)) % size);

    internal byte Byte() => Take(1)[0];

    internal uint UInt32()
    {
        Align(4);
        return BinaryPrimitives.ReadUInt32LittleEndian(Take(4));
    }

    /// <summary>A string or an object path.</summary>
    internal string Text()
    {
        var count = UInt32();
        var text = Encoding.UTF8.GetString(Take(count > int.MaxValue - 1 ? int.MaxValue : (int)count));
        Take(1);
        return text;
    }

    internal string Signature()
    {
        var text = Encoding.ASCII.GetString(Take(Byte()));
        Take(1);
        return text;
    }

    private ReadOnlySpan<byte> Take(int count)
    {
        if (count > bytes.Length - Position) throw HullException.Corrupted("D-Bus: a message ends before its last value");
        Position += count;
        return bytes.Span.Slice(Position - count, count);
    }
}
