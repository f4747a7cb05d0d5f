using System.Buffers.Binary;
using System.Net;
using System.Net.NetworkInformation;
using Hull.Core;
using Hull.Linux.Abi;

namespace Hull.Linux.Netlink;

/// <summary>One network interface as a dump shows it.</summary>
public sealed record LinkInfo(int Index, string Name, string? Kind, int Master, int Peer, uint Flags, int Mtu, PhysicalAddress? Address, string? Alias)
{
    public bool IsUp => (Flags & Rtnetlink.IFF_UP) != 0;

    /// <summary>Counters since the interface was made: bytes, packets, errors and drops received and sent.</summary>
    public LinkCounters Counters { get; init; }
}

/// <summary>struct rtnl_link_stats64, its first eight members.</summary>
public readonly record struct LinkCounters(ulong ReceivedPackets, ulong SentPackets, ulong ReceivedBytes, ulong SentBytes,
    ulong ReceiveErrors, ulong SendErrors, ulong ReceiveDropped, ulong SendDropped);

/// <summary>One address of an interface.</summary>
public sealed record AddressInfo(int Index, IPAddress Address, int PrefixLength);

/// <summary>One unicast route of a table.</summary>
public sealed record RouteInfo(IPNetwork Destination, int Index, IPAddress? Gateway, uint Metric, uint Table);

/// <summary>
/// The rtnetlink client of one network namespace: the one in which the thread that opened it was. Safe for concurrent
/// use; the kernel has one lock for all of it anyway.
/// </summary>
public sealed class RouteSocket : IDisposable
{
    private readonly NetlinkSocket socket = new(Rtnetlink.NETLINK_ROUTE);
    private readonly Lock gate = new();

    /// <summary>Carries out the batch; throws the first failure, after the kernel has tried every message.</summary>
    public void Execute(RouteBatch batch)
    {
        var failures = TryExecute(batch);
        if (failures.Count > 0)
            throw NetlinkError.Create(failures[0].Errno, batch.ActionOf(failures[0].Sequence), failures[0].Message);
    }

    /// <summary>Carries out the batch and answers the failures.</summary>
    public IReadOnlyList<NetlinkFailure> TryExecute(RouteBatch batch)
    {
        if (batch.Count == 0) return [];
        lock (gate) return socket.Exchange(batch.Writer, batch.Count);
    }

    public IReadOnlyList<LinkInfo> Links() => Dump(Rtnetlink.RTM_GETLINK, 16, Rtnetlink.RTM_NEWLINK, ParseLink);

    public IReadOnlyList<AddressInfo> Addresses() => Dump(Rtnetlink.RTM_GETADDR, 8, Rtnetlink.RTM_NEWADDR, ParseAddress);

    /// <summary>Unicast routes of both IP versions, in all tables but the local one.</summary>
    public IReadOnlyList<RouteInfo> Routes() => Dump(Rtnetlink.RTM_GETROUTE, 12, Rtnetlink.RTM_NEWROUTE, ParseRoute);

    /// <summary>Interface index and kind of each queueing discipline that is not a default one.</summary>
    public IReadOnlyList<(int Index, string Kind)> Queues() => Dump<(int, string)>(Rtnetlink.RTM_GETQDISC, 20, Rtnetlink.RTM_NEWQDISC, ParseQueue);

    public LinkInfo? FindLink(string name)
    {
        var writer = new NetlinkWriter();
        writer.Begin(Rtnetlink.RTM_GETLINK, Rtnetlink.NLM_F_REQUEST);
        writer.Reserve(16);
        writer.Attribute(Rtnetlink.IFLA_IFNAME, name);
        LinkInfo? found = null;
        int errno;
        lock (gate) errno = socket.Query(writer, (_, payload) => found = ParseLink(payload), dump: false);
        return errno switch
        {
            0 => found,
            NetlinkError.ENODEV => null,
            _ => throw NetlinkError.Create(errno, $"look up interface {name}"),
        };
    }

    /// <summary>The index of an interface; throws <see cref="ErrorKind.NotFound"/>.</summary>
    public int IndexOf(string name) =>
        FindLink(name)?.Index ?? throw HullException.NotFound($"no network interface '{name}'");

    public void Dispose() => socket.Dispose();

    private delegate T? Parser<T>(ReadOnlySpan<byte> payload);

    private List<T> Dump<T>(ushort request, int headerSize, ushort answer, Parser<T> parse)
    {
        var writer = new NetlinkWriter();
        for (var attempt = 0; ; attempt++)
        {
            writer.Clear();
            writer.Begin(request, Rtnetlink.NLM_F_REQUEST | Rtnetlink.NLM_F_DUMP);
            writer.Reserve(headerSize);
            var found = new List<T>();
            int errno;
            lock (gate)
            {
                errno = socket.Query(writer, (type, payload) =>
                {
                    if (type == answer && parse(payload) is { } item) found.Add(item);
                }, dump: true);
            }

            // The table changed while it was read: what came is a mixture. Under steady change the last one has to do.
            if (errno == 0 || (errno == NetlinkError.EBUSY && attempt >= 10)) return found;
            if (errno != NetlinkError.EBUSY) throw NetlinkError.Create(errno, "read the network's state");
        }
    }

    private static LinkInfo? ParseLink(ReadOnlySpan<byte> payload)
    {
        if (payload.Length < 16) return null;
        var link = new LinkInfo(BinaryPrimitives.ReadInt32LittleEndian(payload[4..]), "", null, 0, 0,
            BinaryPrimitives.ReadUInt32LittleEndian(payload[8..]), 0, null, null);
        var attributes = new NetlinkAttributes(payload[16..]);
        while (attributes.Next())
        {
            link = attributes.Type switch
            {
                Rtnetlink.IFLA_IFNAME => link with { Name = attributes.Text },
                Rtnetlink.IFLA_MTU => link with { Mtu = (int)attributes.UInt32 },
                Rtnetlink.IFLA_MASTER => link with { Master = (int)attributes.UInt32 },
                Rtnetlink.IFLA_LINK => link with { Peer = (int)attributes.UInt32 },
                Rtnetlink.IFLA_ADDRESS => link with { Address = new PhysicalAddress(attributes.Value.ToArray()) },
                Rtnetlink.IFLA_IFALIAS => link with { Alias = attributes.Text },
                Rtnetlink.IFLA_LINKINFO => link with { Kind = KindOf(attributes.Nested) },
                Rtnetlink.IFLA_STATS64 => link with { Counters = CountersOf(attributes.Value) },
                _ => link,
            };
        }

        return link;
    }

    private static string? KindOf(NetlinkAttributes info)
    {
        while (info.Next())
        {
            if (info.Type == Rtnetlink.IFLA_INFO_KIND) return info.Text;
        }

        return null;
    }

    private static LinkCounters CountersOf(ReadOnlySpan<byte> value)
    {
        if (value.Length < 64) return default;
        return new LinkCounters(At(value, 0), At(value, 1), At(value, 2), At(value, 3), At(value, 4), At(value, 5), At(value, 6), At(value, 7));
        static ulong At(ReadOnlySpan<byte> bytes, int position) => BinaryPrimitives.ReadUInt64LittleEndian(bytes[(position * 8)..]);
    }

    private static AddressInfo? ParseAddress(ReadOnlySpan<byte> payload)
    {
        if (payload.Length < 8) return null;
        IPAddress? local = null, address = null;
        var attributes = new NetlinkAttributes(payload[8..]);
        while (attributes.Next())
        {
            if (attributes.Type == Rtnetlink.IFA_LOCAL) local = attributes.Address;
            if (attributes.Type == Rtnetlink.IFA_ADDRESS) address = attributes.Address;
        }

        return (local ?? address) is { } found ? new AddressInfo(BinaryPrimitives.ReadInt32LittleEndian(payload[4..]), found, payload[1]) : null;
    }

    private static RouteInfo? ParseRoute(ReadOnlySpan<byte> payload)
    {
        if (payload.Length < 12 || payload[7] != Rtnetlink.RTN_UNICAST || payload[0] is not (NetlinkNative.AF_INET or NetlinkNative.AF_INET6)) return null;
        uint table = payload[4], metric = 0;
        IPAddress? gateway = null;
        var destination = payload[0] == NetlinkNative.AF_INET ? IPAddress.Any : IPAddress.IPv6Any;
        var index = 0;
        var attributes = new NetlinkAttributes(payload[12..]);
        while (attributes.Next())
        {
            switch (attributes.Type)
            {
                case Rtnetlink.RTA_DST: destination = attributes.Address ?? destination; break;
                case Rtnetlink.RTA_GATEWAY: gateway = attributes.Address; break;
                case Rtnetlink.RTA_OIF: index = (int)attributes.UInt32; break;
                case Rtnetlink.RTA_PRIORITY: metric = attributes.UInt32; break;
                case Rtnetlink.RTA_TABLE: table = attributes.UInt32; break;
                default: break;
            }
        }

        return table == Rtnetlink.RT_TABLE_LOCAL ? null : new RouteInfo(new IPNetwork(destination, payload[1]), index, gateway, metric, table);
    }

    private static (int, string) ParseQueue(ReadOnlySpan<byte> payload)
    {
        if (payload.Length < 20) return (0, "");
        var attributes = new NetlinkAttributes(payload[20..]);
        while (attributes.Next())
        {
            if (attributes.Type == Rtnetlink.TCA_KIND) return (BinaryPrimitives.ReadInt32LittleEndian(payload[4..]), attributes.Text);
        }

        return (0, "");
    }
}
