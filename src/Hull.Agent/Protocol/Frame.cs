using System.Buffers.Binary;

namespace Hull.Agent.Protocol;

/// <summary>
/// The agent protocol, host to guest and back, over two virtio-serial ports. Both carry frames: a header of
/// twelve bytes, little-endian, and a payload.
/// <code>
/// 0  u32  length of the payload
/// 4  u8   kind (<see cref="FrameKind"/>)
/// 5  u8   0
/// 6  u16  operation or event; in a failure, the kind of error
/// 8  u32  request id on the control port, stream id on the data port
/// </code>
/// <para>Port <c>hull.ctl</c> carries requests from the host, each answered once by a response or a failure with
/// the same id, in any order, and events from the guest. Port <c>hull.io</c> carries the bytes of streams: standard
/// input and output of processes, archives. The host names streams by number when it asks for the operation that
/// opens them.</para>
/// <para>Flow control: a sender may have <see cref="InitialCredit"/> bytes of a stream under way; the receiver grants
/// more by <see cref="FrameKind.Credit"/> as it consumes. So a stream nobody reads holds back its own writer and no
/// other, and neither side ever buffers more than the credit it gave.</para>
/// <para>Quiescence: the host ends what it sends on the data port with a reset of <see cref="MarkerStream"/> and asks for
/// <see cref="AgentOperation.Quiesce"/>. The guest freezes its containers, sends what it has, an end of that stream and then
/// its answer, and nothing more on either port until <see cref="AgentOperation.Continue"/>, or in a machine made from what was
/// saved meanwhile <see cref="AgentOperation.Release"/>: both begin at a frame boundary. Containers stay frozen there until
/// they are resumed.</para>
/// </summary>
public readonly record struct Frame(FrameKind Kind, ushort Code, uint Id, ReadOnlyMemory<byte> Payload)
{
    public const int HeaderLength = 12;

    /// <summary>Largest payload either side accepts; an OCI spec is some tens of KiB.</summary>
    public const int MaximumPayload = 4 * 1024 * 1024;

    /// <summary>Largest payload of a data frame, so that streams take turns.</summary>
    public const int MaximumData = 32 * 1024;

    /// <summary>Bytes of a stream that may be sent before the receiver grants more.</summary>
    public const int InitialCredit = 256 * 1024;

    /// <summary>A stream that nobody has: what is said of it marks a place among the frames.</summary>
    public const uint MarkerStream = uint.MaxValue;

    public static void WriteHeader(Span<byte> target, FrameKind kind, ushort code, uint id, int length)
    {
        BinaryPrimitives.WriteUInt32LittleEndian(target, (uint)length);
        target[4] = (byte)kind;
        target[5] = 0;
        BinaryPrimitives.WriteUInt16LittleEndian(target[6..], code);
        BinaryPrimitives.WriteUInt32LittleEndian(target[8..], id);
    }
}

public enum FrameKind : byte
{
    Request = 1,
    Response = 2,
    Failure = 3,
    Event = 4,

    /// <summary>Bytes of a stream.</summary>
    Data = 5,

    /// <summary>The stream has ended; nothing of it follows.</summary>
    End = 6,

    /// <summary>u32: so many more bytes may be sent.</summary>
    Credit = 7,

    /// <summary>The receiver wants no more of the stream; what it still gets it drops.</summary>
    Reset = 8,
}

/// <summary>What the host can ask.</summary>
public enum AgentOperation : ushort
{
    /// <summary>Who the agent is. Answered before and after the release.</summary>
    Hello = 1,

    /// <summary>The release gate: renews the identity of a clone. Nothing of a user runs before it was answered.</summary>
    Release = 2,
    CreateContainer = 3,
    StartContainer = 4,
    Signal = 5,
    Exec = 6,
    Resize = 7,
    Statistics = 8,
    ListProcesses = 9,
    DeleteContainer = 10,
    FreezeFileSystems = 11,
    ThawFileSystems = 12,
    Quiesce = 13,
    Shutdown = 14,
    UpdateContainer = 15,
    ConfigureNetwork = 16,
    PauseContainer = 17,
    ResumeContainer = 18,

    /// <summary>Finds the disks and mounts the writable one read-only, for a template whose clones begin with a copy of it.</summary>
    PrepareDisks = 19,

    /// <summary>Copies files in or out of a container, by a process of its own whose end is reported as an exec's is.</summary>
    Archive = 20,

    /// <summary>Goes on after <see cref="Quiesce"/> in the machine that was asked for it.</summary>
    Continue = 21,

    /// <summary>After the release of a machine made from a saved one: makes its container that of the new host.</summary>
    Adopt = 22,
}

/// <summary>What the guest reports unasked.</summary>
public enum AgentEvent : ushort
{
    /// <summary>A container's init or an exec has ended; its output has been sent before.</summary>
    ProcessExited = 1,

    /// <summary>The kernel has killed processes of a container for memory; its init may run on.</summary>
    OutOfMemory = 2,
}
