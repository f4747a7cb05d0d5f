using Hull.Core;
using Hull.Linux.Abi;

namespace Hull.Linux.Netlink;

/// <summary>A chain that is bound to a hook, of any table in the namespace.</summary>
/// <param name="Family">ip, ip6, inet, bridge, arp or netdev.</param>
/// <param name="Hook">prerouting, input, forward, output or postrouting; ingress for netdev.</param>
/// <param name="DropPolicy">Whether packets that no rule decides on are dropped.</param>
public sealed record NftBaseChain(string Family, string Table, string Name, string Type, string Hook, int Priority, bool DropPolicy);

/// <summary>The nf_tables client of one network namespace: the one in which the thread that opened it was. Safe for concurrent use.</summary>
public sealed class NftSocket : IDisposable
{
    private readonly NetlinkSocket socket = new(Rtnetlink.NETLINK_NETFILTER);
    private readonly Lock gate = new();

    /// <summary>Commits the transaction or throws, with nothing changed.</summary>
    public void Execute(NftBatch batch, string action)
    {
        if (TryExecute(batch) is { Errno: not 0 } failure) throw NetlinkError.Create(failure.Errno, action, failure.Message);
    }

    /// <summary>Commits the transaction and answers the first failure, whose errno is 0 where there is none.</summary>
    public NetlinkFailure TryExecute(NftBatch batch)
    {
        if (batch.Acknowledged == 0) return default;
        batch.Finish();
        lock (gate) return socket.Exchange(batch.Writer, batch.Acknowledged, stopAtFailure: true).FirstOrDefault();
    }

    /// <summary>The elements of a set of an inet table; null where there is no such table or set.</summary>
    public IReadOnlyList<NftElement>? Elements(string table, string set)
    {
        var found = new List<NftElement>();
        var errno = Dump(Nfnetlink.NFT_MSG_GETSETELEM, Nfnetlink.NFPROTO_INET, writer =>
        {
            writer.Attribute(Nfnetlink.NFTA_SET_ELEM_LIST_TABLE, table);
            writer.Attribute(Nfnetlink.NFTA_SET_ELEM_LIST_SET, set);
        }, payload =>
        {
            var attributes = new NetlinkAttributes(payload);
            while (attributes.Next())
            {
                if (attributes.Type == Nfnetlink.NFTA_SET_ELEM_LIST_ELEMENTS) ParseElements(attributes.Nested, found);
            }
        }, found.Clear);
        return errno switch
        {
            0 => found,
            NetlinkError.ENOENT => null,
            _ => throw NetlinkError.Create(errno, $"read set {set} of table {table}"),
        };
    }

    /// <summary>Names of the tables of family inet.</summary>
    public IReadOnlyList<string> Tables()
    {
        var found = new List<string>();
        var errno = Dump(Nfnetlink.NFT_MSG_GETTABLE, Nfnetlink.NFPROTO_INET, _ => { }, payload =>
        {
            var attributes = new NetlinkAttributes(payload);
            while (attributes.Next())
            {
                if (attributes.Type == Nfnetlink.NFTA_TABLE_NAME) found.Add(attributes.Text);
            }
        }, found.Clear);
        return errno == 0 ? found : throw NetlinkError.Create(errno, "list the firewall's tables");
    }

    /// <summary>All chains with a hook, of every family: what else filters packets here.</summary>
    public IReadOnlyList<NftBaseChain> BaseChains()
    {
        var found = new List<NftBaseChain>();
        var errno = DumpWithFamily(Nfnetlink.NFT_MSG_GETCHAIN, 0, _ => { }, (family, payload) =>
        {
            if (ParseChain(family, payload) is { } chain) found.Add(chain);
        }, found.Clear);
        return errno == 0 ? found : throw NetlinkError.Create(errno, "list the firewall's chains");
    }

    public void Dispose() => socket.Dispose();

    private delegate void PayloadHandler(ReadOnlySpan<byte> payload);

    private delegate void FamilyPayloadHandler(byte family, ReadOnlySpan<byte> payload);

    private int Dump(byte type, byte family, Action<NetlinkWriter> fill, PayloadHandler handler, Action restart) =>
        DumpWithFamily(type, family, fill, (_, payload) => handler(payload), restart);

    private int DumpWithFamily(byte type, byte family, Action<NetlinkWriter> fill, FamilyPayloadHandler handler, Action restart)
    {
        var writer = new NetlinkWriter();
        for (var attempt = 0; ; attempt++)
        {
            writer.Clear();
            writer.Begin((ushort)((Nfnetlink.NFNL_SUBSYS_NFTABLES << 8) | type), Rtnetlink.NLM_F_REQUEST | Rtnetlink.NLM_F_DUMP);
            writer.Reserve(4)[0] = family;
            fill(writer);
            int errno;
            lock (gate)
            {
                errno = socket.Query(writer, (_, payload) =>
                {
                    if (payload.Length >= 4) handler(payload[0], payload[4..]);
                }, dump: true);
            }

            if (errno != NetlinkError.EBUSY || attempt >= 10) return errno == NetlinkError.EBUSY ? 0 : errno;
            restart();
        }
    }

    private static void ParseElements(NetlinkAttributes list, List<NftElement> found)
    {
        while (list.Next())
        {
            byte[] key = [];
            byte[]? data = null, end = null;
            var intervalEnd = false;
            var element = list.Nested;
            while (element.Next())
            {
                switch (element.Type)
                {
                    case Nfnetlink.NFTA_SET_ELEM_KEY: key = DataOf(element.Nested) ?? []; break;
                    case Nfnetlink.NFTA_SET_ELEM_KEY_END: end = DataOf(element.Nested); break;
                    case Nfnetlink.NFTA_SET_ELEM_DATA: data = DataOf(element.Nested); break;
                    case Nfnetlink.NFTA_SET_ELEM_FLAGS: intervalEnd = (element.UInt32NetworkOrder & Nfnetlink.NFT_SET_ELEM_INTERVAL_END) != 0; break;
                    default: break;
                }
            }

            found.Add(new NftElement(key, data, end, intervalEnd));
        }
    }

    private static byte[]? DataOf(NetlinkAttributes data)
    {
        while (data.Next())
        {
            if (data.Type == Nfnetlink.NFTA_DATA_VALUE) return data.Value.ToArray();
        }

        return null;
    }

    private static NftBaseChain? ParseChain(byte family, ReadOnlySpan<byte> payload)
    {
        string table = "", name = "", type = "";
        var (hook, priority, drop) = (-1, 0, false);
        var attributes = new NetlinkAttributes(payload);
        while (attributes.Next())
        {
            switch (attributes.Type)
            {
                case Nfnetlink.NFTA_CHAIN_TABLE: table = attributes.Text; break;
                case Nfnetlink.NFTA_CHAIN_NAME: name = attributes.Text; break;
                case Nfnetlink.NFTA_CHAIN_TYPE: type = attributes.Text; break;
                case Nfnetlink.NFTA_CHAIN_POLICY: drop = attributes.UInt32NetworkOrder == 0; break;
                case Nfnetlink.NFTA_CHAIN_HOOK: (hook, priority) = HookOf(attributes.Nested); break;
                default: break;
            }
        }

        return hook < 0 ? null : new NftBaseChain(FamilyName(family), table, name, type, HookName(family, hook), priority, drop);
    }

    private static (int Hook, int Priority) HookOf(NetlinkAttributes attributes)
    {
        var (hook, priority) = (-1, 0);
        while (attributes.Next())
        {
            if (attributes.Type == Nfnetlink.NFTA_HOOK_HOOKNUM) hook = (int)attributes.UInt32NetworkOrder;
            if (attributes.Type == Nfnetlink.NFTA_HOOK_PRIORITY) priority = (int)attributes.UInt32NetworkOrder;
        }

        return (hook, priority);
    }

    private static string FamilyName(byte family) => family switch
    {
        1 => "inet", 2 => "ip", 3 => "arp", 5 => "netdev", 7 => "bridge", 10 => "ip6", _ => $"family {family}",
    };

    private static string HookName(byte family, int hook) => (family, hook) switch
    {
        (5, 0) => "ingress",
        (5, _) => "egress",
        (_, 0) => "prerouting",
        (_, 1) => "input",
        (_, 2) => "forward",
        (_, 3) => "output",
        (_, 4) => "postrouting",
        _ => $"hook {hook}",
    };
}
