using System.Net;
using System.Net.Sockets;
using Hull.Linux.Abi;

namespace Hull.Linux.Netlink;

/// <summary>The connection tracking table of one network namespace (linux/netfilter/nfnetlink_conntrack.h).</summary>
public sealed class ConntrackSocket : IDisposable
{
    private readonly NetlinkSocket socket = new(Rtnetlink.NETLINK_NETFILTER);
    private readonly Lock gate = new();

    /// <summary>
    /// Forgets every connection whose originator or answerer is <paramref name="address"/>: an address that is given to
    /// somebody else must not inherit its predecessor's translations. Answers how many were forgotten.
    /// </summary>
    public int Forget(IPAddress address)
    {
        var family = (byte)(address.AddressFamily == AddressFamily.InterNetwork ? NetlinkNative.AF_INET : NetlinkNative.AF_INET6);
        var wanted = address.GetAddressBytes();
        var entries = new List<(byte[] Tuple, byte[]? Id)>();
        var writer = new NetlinkWriter();
        lock (gate)
        {
            Header(writer, Nfnetlink.IPCTNL_MSG_CT_GET, Rtnetlink.NLM_F_REQUEST | Rtnetlink.NLM_F_DUMP, family);
            var errno = socket.Query(writer, (_, payload) =>
            {
                if (payload.Length > 4 && Match(payload[4..], wanted) is { } entry) entries.Add(entry);
            }, dump: true);
            if (errno != 0 && errno != NetlinkError.EBUSY) throw NetlinkError.Create(errno, "read the connection table");
            if (entries.Count == 0) return 0;

            writer.Clear();
            foreach (var (tuple, id) in entries)
            {
                Header(writer, Nfnetlink.IPCTNL_MSG_CT_DELETE, Rtnetlink.NLM_F_REQUEST | Rtnetlink.NLM_F_ACK, family);
                writer.Attribute(Nfnetlink.CTA_TUPLE_ORIG | Rtnetlink.NLA_F_NESTED, tuple);
                // The id tells this connection from a later one with the same addresses and ports.
                if (id is not null) writer.Attribute(Nfnetlink.CTA_ID, id);
            }

            // A connection that ended by itself in between answers ENOENT: that is what was wanted.
            return entries.Count - socket.Exchange(writer, entries.Count).Count;
        }
    }

    public void Dispose() => socket.Dispose();

    private static void Header(NetlinkWriter writer, byte type, ushort flags, byte family)
    {
        writer.Begin((ushort)((Nfnetlink.NFNL_SUBSYS_CTNETLINK << 8) | type), flags);
        writer.Reserve(4)[0] = family;
    }

    private static (byte[], byte[]?)? Match(ReadOnlySpan<byte> payload, byte[] wanted)
    {
        byte[]? original = null, id = null;
        var matches = false;
        var attributes = new NetlinkAttributes(payload);
        while (attributes.Next())
        {
            switch (attributes.Type)
            {
                case Nfnetlink.CTA_TUPLE_ORIG:
                    original = attributes.Value.ToArray();
                    matches |= Mentions(attributes.Nested, wanted);
                    break;
                case Nfnetlink.CTA_TUPLE_REPLY:
                    matches |= Mentions(attributes.Nested, wanted);
                    break;
                case Nfnetlink.CTA_ID:
                    id = attributes.Value.ToArray();
                    break;
                default:
                    break;
            }
        }

        return matches && original is not null ? (original, id) : null;
    }

    private static bool Mentions(NetlinkAttributes tuple, byte[] wanted)
    {
        while (tuple.Next())
        {
            if (tuple.Type != Nfnetlink.CTA_TUPLE_IP) continue;
            var addresses = tuple.Nested;
            while (addresses.Next())
            {
                if (addresses.Value.SequenceEqual(wanted)) return true;
            }
        }

        return false;
    }
}
