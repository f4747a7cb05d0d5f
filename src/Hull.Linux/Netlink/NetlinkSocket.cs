using System.Buffers;
using System.Buffers.Binary;
using System.Runtime.InteropServices;
using Hull.Linux.Abi;
using Microsoft.Win32.SafeHandles;

namespace Hull.Linux.Netlink;

/// <summary>What the kernel answered to one message of a batch.</summary>
/// <param name="Sequence">Number of the message in its batch, from 1.</param>
/// <param name="Errno">0 for success.</param>
/// <param name="Message">The kernel's own words (extended acknowledgement), where it had any.</param>
public readonly record struct NetlinkFailure(uint Sequence, int Errno, string? Message);

/// <summary>
/// One netlink socket, of the network namespace in which the opening thread was: it stays there whichever thread uses
/// it later. Not for concurrent use; callers hold a lock around a request and its answers.
/// </summary>
public sealed class NetlinkSocket : IDisposable
{
    private const int ReceiveSize = 64 * 1024;
    private readonly SafeFileHandle handle;

    /// <param name="protocol">NETLINK_ROUTE or NETLINK_NETFILTER.</param>
    /// <param name="group">Multicast group to listen to; 0 for none.</param>
    public NetlinkSocket(int protocol, int group = 0)
    {
        var descriptor = NetlinkNative.socket(NetlinkNative.AF_NETLINK, NetlinkNative.SOCK_RAW | NetlinkNative.SOCK_CLOEXEC, protocol);
        if (descriptor < 0) throw NetlinkError.Last("open a netlink socket");
        handle = NetlinkNative.Own(descriptor);
        try
        {
            Span<byte> address = stackalloc byte[12];
            address.Clear();
            BinaryPrimitives.WriteUInt16LittleEndian(address, NetlinkNative.AF_NETLINK);
            if (NetlinkNative.bind(handle, ref address[0], address.Length) < 0) throw NetlinkError.Last("bind a netlink socket");
            SetOption(Rtnetlink.SOL_NETLINK, Rtnetlink.NETLINK_EXT_ACK, 1);
            // A batch's acknowledgements must fit: a full buffer loses them (ENOBUFS). The forced form needs CAP_NET_ADMIN.
            if (!SetOption(NetlinkNative.SOL_SOCKET, NetlinkNative.SO_RCVBUFFORCE, 4 << 20))
                SetOption(NetlinkNative.SOL_SOCKET, NetlinkNative.SO_RCVBUF, 4 << 20);
            if (group != 0 && !SetOption(Rtnetlink.SOL_NETLINK, Rtnetlink.NETLINK_ADD_MEMBERSHIP, group))
                throw NetlinkError.Last("listen to a netlink group");
        }
        catch
        {
            handle.Dispose();
            throw;
        }
    }

    /// <summary>
    /// Sends all messages of the writer in one datagram and collects the failures; an empty answer means that all
    /// succeeded. Every message must ask for an acknowledgement.
    /// </summary>
    /// <param name="acknowledged">Number of messages that are acknowledged.</param>
    /// <param name="stopAtFailure">True where the kernel treats the datagram as one transaction and may leave out the rest's answers (nf_tables).</param>
    public List<NetlinkFailure> Exchange(NetlinkWriter writer, int acknowledged, bool stopAtFailure = false)
    {
        writer.Finish();
        Drain();
        Send(writer.Written);
        var failures = new List<NetlinkFailure>();
        var buffer = ArrayPool<byte>.Shared.Rent(ReceiveSize);
        try
        {
            var open = acknowledged;
            while (open > 0)
            {
                if (failures.Count > 0 && stopAtFailure) break;
                var messages = new NetlinkMessages(buffer.AsSpan(0, Receive(buffer, 0)));
                while (messages.Next())
                {
                    if (messages.Type != Rtnetlink.NLMSG_ERROR) continue;
                    open--;
                    if (ParseError(messages) is { Errno: not 0 } failure) failures.Add(failure);
                }
            }
        }
        finally
        {
            ArrayPool<byte>.Shared.Return(buffer);
        }

        return failures;
    }

    public delegate void MessageHandler(ushort type, ReadOnlySpan<byte> payload);

    /// <summary>
    /// Sends one request and hands every message of the answer to <paramref name="handler"/>. Answers 0 or the errno.
    /// A dump that changed underneath (NLM_F_DUMP_INTR) is reported as <see cref="NetlinkError.EBUSY"/>: repeat it.
    /// </summary>
    public int Query(NetlinkWriter writer, MessageHandler handler, bool dump)
    {
        writer.Finish();
        Drain();
        Send(writer.Written);
        var buffer = ArrayPool<byte>.Shared.Rent(ReceiveSize);
        try
        {
            var interrupted = false;
            while (true)
            {
                var messages = new NetlinkMessages(buffer.AsSpan(0, Receive(buffer, 0)));
                while (messages.Next())
                {
                    interrupted |= (messages.Flags & Rtnetlink.NLM_F_DUMP_INTR) != 0;
                    if (messages.Type == Rtnetlink.NLMSG_DONE) return interrupted ? NetlinkError.EBUSY : 0;
                    if (messages.Type == Rtnetlink.NLMSG_ERROR) return ParseError(messages).Errno;
                    handler(messages.Type, messages.Payload);
                    if (!dump) return 0;
                }
            }
        }
        finally
        {
            ArrayPool<byte>.Shared.Return(buffer);
        }
    }

    /// <summary>Waits for one datagram of the multicast group. Answers the messages in it; an empty one means that some were lost.</summary>
    public int Wait(byte[] buffer)
    {
        var count = NetlinkNative.recv(handle, ref buffer[0], buffer.Length, 0);
        return count < 0 ? -Marshal.GetLastPInvokeError() : (int)count;
    }

    /// <summary>Makes a thread in <see cref="Wait"/> return: the kernel acknowledges an empty request.</summary>
    public void Wake()
    {
        var writer = new NetlinkWriter();
        writer.Begin(1 /* NLMSG_NOOP */, Rtnetlink.NLM_F_REQUEST | Rtnetlink.NLM_F_ACK);
        writer.Finish();
        Send(writer.Written);
    }

    public void Dispose() => handle.Dispose();

    private bool SetOption(int level, int option, int value) =>
        NetlinkNative.setsockopt(handle, level, option, ref value, sizeof(int)) == 0;

    private void Send(ReadOnlySpan<byte> bytes)
    {
        nint sent;
        do
        {
            sent = NetlinkNative.send(handle, ref MemoryMarshal.GetReference(bytes), bytes.Length, 0);
        }
        while (sent < 0 && Marshal.GetLastPInvokeError() == NetlinkError.EINTR);
        if (sent < 0) throw NetlinkError.Last("send to netlink");
    }

    private int Receive(byte[] buffer, int flags)
    {
        while (true)
        {
            var count = NetlinkNative.recv(handle, ref buffer[0], buffer.Length, flags);
            if (count >= 0) return (int)count;
            if (Marshal.GetLastPInvokeError() != NetlinkError.EINTR) throw NetlinkError.Last("receive from netlink");
        }
    }

    /// <summary>Takes away what an earlier exchange that ended early left unread.</summary>
    private void Drain()
    {
        const int MSG_DONTWAIT = 0x40;
        Span<byte> scrap = stackalloc byte[64];
        while (NetlinkNative.recv(handle, ref scrap[0], scrap.Length, MSG_DONTWAIT) >= 0) { }
    }

    /// <summary>struct nlmsgerr: error, the request's header, then (where told so) the request, then attributes.</summary>
    private static NetlinkFailure ParseError(NetlinkMessages message)
    {
        var payload = message.Payload;
        if (payload.Length < 20) return new NetlinkFailure(message.Sequence, NetlinkError.EINVAL, null);
        var errno = -BinaryPrimitives.ReadInt32LittleEndian(payload);
        if (errno == 0 || (message.Flags & Rtnetlink.NLM_F_ACK_TLVS) == 0) return new NetlinkFailure(message.Sequence, errno, null);
        var skip = 20;
        if ((message.Flags & Rtnetlink.NLM_F_CAPPED) == 0)
            skip = 4 + (int)((BinaryPrimitives.ReadUInt32LittleEndian(payload[4..]) + 3) & ~3u);
        if (skip > payload.Length) return new NetlinkFailure(message.Sequence, errno, null);
        var attributes = new NetlinkAttributes(payload[skip..]);
        while (attributes.Next())
        {
            if (attributes.Type == Rtnetlink.NLMSGERR_ATTR_MSG) return new NetlinkFailure(message.Sequence, errno, attributes.Text);
        }

        return new NetlinkFailure(message.Sequence, errno, null);
    }
}
