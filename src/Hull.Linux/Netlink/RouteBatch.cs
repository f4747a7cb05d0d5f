using System.Buffers.Binary;
using System.Net;
using System.Net.NetworkInformation;
using System.Net.Sockets;
using Hull.Linux.Abi;
using Microsoft.Win32.SafeHandles;

namespace Hull.Linux.Netlink;

/// <summary>What is common to every new link.</summary>
public sealed record LinkSettings
{
    /// <summary>Interface index to take; 0 lets the kernel choose. One that is taken fails with EBUSY.</summary>
    public int Index { get; init; }

    /// <summary>Null lets the kernel choose.</summary>
    public string? Name { get; init; }

    /// <summary>In bytes; 0 keeps the kind's default.</summary>
    public int Mtu { get; init; }

    /// <summary>Null takes a random one.</summary>
    public PhysicalAddress? Address { get; init; }

    /// <summary>Index of the bridge it belongs to; 0 for none.</summary>
    public int Master { get; init; }

    /// <summary>The network namespace in which it is made; null is the socket's.</summary>
    public SafeFileHandle? Namespace { get; init; }

    public bool Up { get; init; }
}

/// <summary>
/// Changes to links, addresses, routes, neighbours and rules, gathered into one datagram: the kernel works through them in
/// order, in one system call. It does not undo the earlier ones when a later one fails; who batches cleans up.
/// </summary>
public sealed partial class RouteBatch
{
    private const ushort Request = Rtnetlink.NLM_F_REQUEST | Rtnetlink.NLM_F_ACK;
    private const ushort CreateNew = Request | Rtnetlink.NLM_F_CREATE | Rtnetlink.NLM_F_EXCL;
    private const ushort CreateOrReplace = Request | Rtnetlink.NLM_F_CREATE | Rtnetlink.NLM_F_REPLACE;
    private readonly List<string> actions = [];
    private readonly List<SafeFileHandle> held = [];

    /// <summary>The bytes as they go to the kernel.</summary>
    public NetlinkWriter Writer { get; } = new();

    /// <summary>Number of messages.</summary>
    public int Count => Writer.Count;

    /// <summary>What the n-th message (from 1) tries to do, for errors.</summary>
    public string ActionOf(uint sequence) => sequence >= 1 && sequence <= actions.Count ? actions[(int)sequence - 1] : "change the network";

    public void Clear()
    {
        Writer.Clear();
        actions.Clear();
        held.Clear();
    }

    /// <summary>A pair of veth(4): the near end in the socket's namespace, the peer where its settings say.</summary>
    public void AddVeth(LinkSettings near, LinkSettings peer)
    {
        var info = BeginLink(near, "veth", out var data);
        var peerAttribute = Writer.BeginNested(Rtnetlink.VETH_INFO_PEER);
        WriteLink(peer);
        Writer.EndNested(peerAttribute);
        EndLink(info, data);
    }

    /// <summary>A bridge without spanning tree; multicast snooping off lets IPv6 neighbour discovery through without a querier.</summary>
    public void AddBridge(LinkSettings settings, bool multicastSnooping = true)
    {
        var info = BeginLink(settings, "bridge", out var data);
        Writer.Attribute(Rtnetlink.IFLA_BR_STP_STATE, 0u);
        Writer.Attribute(Rtnetlink.IFLA_BR_MCAST_SNOOPING, (byte)(multicastSnooping ? 1 : 0));
        EndLink(info, data);
    }

    /// <summary>macvlan: mode 1 private, 2 vepa, 4 bridge, 8 passthru.</summary>
    public void AddMacvlan(LinkSettings settings, int parent, uint mode)
    {
        var info = BeginLink(settings, "macvlan", out var data, parent);
        Writer.Attribute(Rtnetlink.IFLA_MACVLAN_MODE, mode);
        EndLink(info, data);
    }

    /// <summary>ipvlan: mode 0 l2, 1 l3, 2 l3s.</summary>
    public void AddIpvlan(LinkSettings settings, int parent, ushort mode)
    {
        var info = BeginLink(settings, "ipvlan", out var data, parent);
        Writer.Attribute(Rtnetlink.IFLA_IPVLAN_MODE, mode);
        EndLink(info, data);
    }

    /// <summary>vxlan (RFC 7348) with static forwarding entries only where <paramref name="learning"/> is off.</summary>
    public void AddVxlan(LinkSettings settings, uint id, IPAddress local, ushort port = 4789, bool learning = false)
    {
        var info = BeginLink(settings, "vxlan", out var data);
        Writer.Attribute(Rtnetlink.IFLA_VXLAN_ID, id);
        Writer.Attribute(local.AddressFamily == AddressFamily.InterNetwork ? Rtnetlink.IFLA_VXLAN_LOCAL : (ushort)17, local);
        Writer.Attribute(Rtnetlink.IFLA_VXLAN_LEARNING, (byte)(learning ? 1 : 0));
        Writer.AttributeNetworkOrder(Rtnetlink.IFLA_VXLAN_PORT, port);
        EndLink(info, data);
    }

    /// <summary>A link of a kind without settings of its own, such as <c>dummy</c> or <c>ifb</c>.</summary>
    public void AddLink(LinkSettings settings, string kind)
    {
        var info = BeginLink(settings, kind, out var data);
        EndLink(info, data);
    }

    public void DeleteLink(int index) => Header(Rtnetlink.RTM_DELLINK, Request, $"delete interface {index}", index, 0, 0);

    public void DeleteLink(string name)
    {
        Header(Rtnetlink.RTM_DELLINK, Request, $"delete interface {name}", 0, 0, 0);
        Writer.Attribute(Rtnetlink.IFLA_IFNAME, name);
    }

    public void SetUp(int index, bool up = true) =>
        Header(Rtnetlink.RTM_NEWLINK, Request, $"set interface {index} {(up ? "up" : "down")}", index, up ? Rtnetlink.IFF_UP : 0, Rtnetlink.IFF_UP);

    public void SetUp(string name)
    {
        Header(Rtnetlink.RTM_NEWLINK, Request, $"set interface {name} up", 0, Rtnetlink.IFF_UP, Rtnetlink.IFF_UP);
        Writer.Attribute(Rtnetlink.IFLA_IFNAME, name);
    }

    /// <summary>
    /// No fe80:: address of its own (addrgenmode none), for links without IPv6. The kernel takes it for an existing link only,
    /// and it has to come before the link goes up.
    /// </summary>
    public void SetNoLinkLocal(string name)
    {
        Header(Rtnetlink.RTM_NEWLINK, Request, $"keep interface {name} from a link-local address", 0, 0, 0);
        Writer.Attribute(Rtnetlink.IFLA_IFNAME, name);
        var families = Writer.BeginNested(Rtnetlink.IFLA_AF_SPEC);
        var inet6 = Writer.BeginNested(NetlinkNative.AF_INET6);
        Writer.Attribute(Rtnetlink.IFLA_INET6_ADDR_GEN_MODE, Rtnetlink.IN6_ADDR_GEN_MODE_NONE);
        Writer.EndNested(inet6);
        Writer.EndNested(families);
    }

    public void SetMaster(int index, int master)
    {
        Header(Rtnetlink.RTM_NEWLINK, Request, $"attach interface {index} to bridge {master}", index, 0, 0);
        Writer.Attribute(Rtnetlink.IFLA_MASTER, (uint)master);
    }

    public void SetName(int index, string name)
    {
        Header(Rtnetlink.RTM_NEWLINK, Request, $"name interface {index} {name}", index, 0, 0);
        Writer.Attribute(Rtnetlink.IFLA_IFNAME, name);
    }

    public void SetMtu(int index, int mtu)
    {
        Header(Rtnetlink.RTM_NEWLINK, Request, $"set the MTU of interface {index} to {mtu}", index, 0, 0);
        Writer.Attribute(Rtnetlink.IFLA_MTU, (uint)mtu);
    }

    public void SetAddress(int index, PhysicalAddress address)
    {
        Header(Rtnetlink.RTM_NEWLINK, Request, $"set the MAC address of interface {index}", index, 0, 0);
        Writer.Attribute(Rtnetlink.IFLA_ADDRESS, address.GetAddressBytes());
    }

    public void MoveToNamespace(int index, SafeFileHandle target)
    {
        Header(Rtnetlink.RTM_NEWLINK, Request, $"move interface {index} to a namespace", index, 0, 0);
        Writer.Attribute(Rtnetlink.IFLA_NET_NS_FD, (uint)target.DangerousGetHandle());
        held.Add(target);
    }

    /// <summary>Settings of a bridge's port, named by the port: hairpin sends frames back where they came from, isolated ports do not reach each other.</summary>
    public void SetBridgePort(string name, bool? hairpin = null, bool? isolated = null)
    {
        var (info, port) = BeginBridgePort(name);
        if (hairpin is { } mode) Writer.Attribute(Rtnetlink.IFLA_BRPORT_MODE, (byte)(mode ? 1 : 0));
        if (isolated is { } alone) Writer.Attribute(Rtnetlink.IFLA_BRPORT_ISOLATED, (byte)(alone ? 1 : 0));
        EndLink(info, port);
    }

    /// <summary>Stops a bridge's port from carrying frames and forgets what was learnt on it: immediate, where deleting waits for a grace period.</summary>
    public void DisableBridgePort(string name)
    {
        var (info, port) = BeginBridgePort(name);
        Writer.Attribute(Rtnetlink.IFLA_BRPORT_STATE, (byte)0); // BR_STATE_DISABLED
        Writer.Attribute(Rtnetlink.IFLA_BRPORT_FLUSH, []);
        EndLink(info, port);
    }

    /// <summary>Puts a link into a group, to be deleted with the others in it.</summary>
    public void SetGroup(string name, uint group)
    {
        Header(Rtnetlink.RTM_NEWLINK, Request, $"group interface {name}", 0, 0, 0);
        Writer.Attribute(Rtnetlink.IFLA_IFNAME, name);
        Writer.Attribute(Rtnetlink.IFLA_GROUP, group);
    }

    /// <summary>Deletes all links of a group at the price of one: the kernel waits once for all of them.</summary>
    public void DeleteGroup(uint group)
    {
        Header(Rtnetlink.RTM_DELLINK, Request, $"delete the interfaces of group {group}", 0, 0, 0);
        Writer.Attribute(Rtnetlink.IFLA_GROUP, group);
    }

    /// <summary>An address; IPv6 ones are usable at once (no duplicate address detection).</summary>
    public void AddAddress(int index, IPAddress address, int prefixLength)
    {
        AddressHeader(Rtnetlink.RTM_NEWADDR, CreateOrReplace, $"add address {address}/{prefixLength}", index, address, prefixLength);
        if (address.AddressFamily == AddressFamily.InterNetworkV6)
            Writer.Attribute(Rtnetlink.IFA_FLAGS, Rtnetlink.IFA_F_NODAD);
        else if (prefixLength < 31)
            Writer.Attribute(Rtnetlink.IFA_BROADCAST, Broadcast(address, prefixLength));
    }

    public void DeleteAddress(int index, IPAddress address, int prefixLength) =>
        AddressHeader(Rtnetlink.RTM_DELADDR, Request, $"delete address {address}/{prefixLength}", index, address, prefixLength);

    /// <summary>A route; without a gateway the destination is on the link. A gateway outside the link's subnets needs <paramref name="onLink"/>.</summary>
    public void AddRoute(IPNetwork destination, int index, IPAddress? gateway = null, uint metric = 0, bool onLink = false, uint table = 0)
    {
        RouteHeader(Rtnetlink.RTM_NEWROUTE, CreateNew, $"add route {destination}", destination, gateway, onLink, table);
        WriteRoute(destination, index, gateway, metric, table);
    }

    public void DeleteRoute(IPNetwork destination, int index, IPAddress? gateway = null, uint metric = 0, uint table = 0)
    {
        RouteHeader(Rtnetlink.RTM_DELROUTE, Request, $"delete route {destination}", destination, gateway, false, table);
        WriteRoute(destination, index, gateway, metric, table);
    }

    /// <summary>A permanent neighbour entry.</summary>
    public void AddNeighbour(int index, IPAddress address, PhysicalAddress linkAddress)
    {
        NeighbourHeader(Rtnetlink.RTM_NEWNEIGH, CreateOrReplace, $"add neighbour {address}", index, address);
        Writer.Attribute(Rtnetlink.NDA_LLADDR, linkAddress.GetAddressBytes());
    }

    public void DeleteNeighbour(int index, IPAddress address) =>
        NeighbourHeader(Rtnetlink.RTM_DELNEIGH, Request, $"delete neighbour {address}", index, address);

    /// <summary>A rule that sends packets from <paramref name="source"/> to a routing table (ip-rule(8)).</summary>
    public void AddRule(IPNetwork source, uint table, uint priority) =>
        WriteRule(Rtnetlink.RTM_NEWRULE, CreateNew, $"add rule for {source}", source, table, priority);

    public void DeleteRule(IPNetwork source, uint table, uint priority) =>
        WriteRule(Rtnetlink.RTM_DELRULE, Request, $"delete rule for {source}", source, table, priority);

    private (int Info, int Port) BeginBridgePort(string name)
    {
        Header(Rtnetlink.RTM_NEWLINK, Request, $"set bridge port {name}", 0, 0, 0);
        Writer.Attribute(Rtnetlink.IFLA_IFNAME, name);
        var info = Writer.BeginNested(Rtnetlink.IFLA_LINKINFO);
        Writer.Attribute(Rtnetlink.IFLA_INFO_SLAVE_KIND, "bridge");
        return (info, Writer.BeginNested(Rtnetlink.IFLA_INFO_SLAVE_DATA));
    }

    private int BeginLink(LinkSettings settings, string kind, out int data, int parent = 0)
    {
        actions.Add($"make {kind} {settings.Name}".TrimEnd());
        Writer.Begin(Rtnetlink.RTM_NEWLINK, CreateNew);
        WriteLink(settings);
        if (parent != 0) Writer.Attribute(Rtnetlink.IFLA_LINK, (uint)parent);
        var info = Writer.BeginNested(Rtnetlink.IFLA_LINKINFO);
        Writer.Attribute(Rtnetlink.IFLA_INFO_KIND, kind);
        data = Writer.BeginNested(Rtnetlink.IFLA_INFO_DATA);
        return info;
    }

    private void EndLink(int info, int data)
    {
        Writer.EndNested(data);
        Writer.EndNested(info);
    }

    /// <summary>struct ifinfomsg and the attributes that every kind has.</summary>
    private void WriteLink(LinkSettings settings)
    {
        WriteLinkHeader(settings.Index, settings.Up ? Rtnetlink.IFF_UP : 0, settings.Up ? Rtnetlink.IFF_UP : 0);
        if (settings.Name is { } name) Writer.Attribute(Rtnetlink.IFLA_IFNAME, name);
        if (settings.Mtu != 0) Writer.Attribute(Rtnetlink.IFLA_MTU, (uint)settings.Mtu);
        if (settings.Address is { } address) Writer.Attribute(Rtnetlink.IFLA_ADDRESS, address.GetAddressBytes());
        if (settings.Master != 0) Writer.Attribute(Rtnetlink.IFLA_MASTER, (uint)settings.Master);
        if (settings.Namespace is { } target)
        {
            Writer.Attribute(Rtnetlink.IFLA_NET_NS_FD, (uint)target.DangerousGetHandle());
            held.Add(target);
        }
    }

    private void Header(ushort type, ushort flags, string action, int index, uint set, uint change)
    {
        actions.Add(action);
        Writer.Begin(type, flags);
        WriteLinkHeader(index, set, change);
    }

    private void WriteLinkHeader(int index, uint set, uint change)
    {
        var header = Writer.Reserve(16);
        BinaryPrimitives.WriteInt32LittleEndian(header[4..], index);
        BinaryPrimitives.WriteUInt32LittleEndian(header[8..], set);
        BinaryPrimitives.WriteUInt32LittleEndian(header[12..], change);
    }

    /// <summary>struct ifaddrmsg.</summary>
    private void AddressHeader(ushort type, ushort flags, string action, int index, IPAddress address, int prefixLength)
    {
        actions.Add(action);
        Writer.Begin(type, flags);
        var header = Writer.Reserve(8);
        header[0] = FamilyOf(address);
        header[1] = (byte)prefixLength;
        BinaryPrimitives.WriteInt32LittleEndian(header[4..], index);
        Writer.Attribute(Rtnetlink.IFA_LOCAL, address);
        Writer.Attribute(Rtnetlink.IFA_ADDRESS, address);
    }

    /// <summary>struct rtmsg.</summary>
    private void RouteHeader(ushort type, ushort flags, string action, IPNetwork destination, IPAddress? gateway, bool onLink, uint table)
    {
        actions.Add(action);
        Writer.Begin(type, flags);
        var header = Writer.Reserve(12);
        header[0] = FamilyOf(destination.BaseAddress);
        header[1] = (byte)destination.PrefixLength;
        header[4] = table is 0 or > 255 ? Rtnetlink.RT_TABLE_MAIN : (byte)table;
        header[5] = Rtnetlink.RTPROT_BOOT;
        header[6] = gateway is null ? Rtnetlink.RT_SCOPE_LINK : Rtnetlink.RT_SCOPE_UNIVERSE;
        header[7] = Rtnetlink.RTN_UNICAST;
        if (onLink) BinaryPrimitives.WriteUInt32LittleEndian(header[8..], Rtnetlink.RTNH_F_ONLINK);
    }

    private void WriteRoute(IPNetwork destination, int index, IPAddress? gateway, uint metric, uint table)
    {
        if (destination.PrefixLength > 0) Writer.Attribute(Rtnetlink.RTA_DST, destination.BaseAddress);
        if (gateway is not null) Writer.Attribute(Rtnetlink.RTA_GATEWAY, gateway);
        if (index != 0) Writer.Attribute(Rtnetlink.RTA_OIF, (uint)index);
        if (metric != 0) Writer.Attribute(Rtnetlink.RTA_PRIORITY, metric);
        if (table != 0) Writer.Attribute(Rtnetlink.RTA_TABLE, table);
    }

    /// <summary>struct ndmsg.</summary>
    private void NeighbourHeader(ushort type, ushort flags, string action, int index, IPAddress address)
    {
        actions.Add(action);
        Writer.Begin(type, flags);
        var header = Writer.Reserve(12);
        header[0] = FamilyOf(address);
        BinaryPrimitives.WriteInt32LittleEndian(header[4..], index);
        BinaryPrimitives.WriteUInt16LittleEndian(header[8..], Rtnetlink.NUD_PERMANENT);
        Writer.Attribute(Rtnetlink.NDA_DST, address);
    }

    /// <summary>struct fib_rule_hdr.</summary>
    private void WriteRule(ushort type, ushort flags, string action, IPNetwork source, uint table, uint priority)
    {
        actions.Add(action);
        Writer.Begin(type, flags);
        var header = Writer.Reserve(12);
        header[0] = FamilyOf(source.BaseAddress);
        header[2] = (byte)source.PrefixLength;
        header[7] = Rtnetlink.FR_ACT_TO_TBL;
        if (source.PrefixLength > 0) Writer.Attribute(Rtnetlink.FRA_SRC, source.BaseAddress);
        Writer.Attribute(Rtnetlink.FRA_PRIORITY, priority);
        Writer.Attribute(Rtnetlink.FRA_TABLE, table);
    }

    private static byte FamilyOf(IPAddress address) =>
        (byte)(address.AddressFamily == AddressFamily.InterNetwork ? NetlinkNative.AF_INET : NetlinkNative.AF_INET6);

    private static IPAddress Broadcast(IPAddress address, int prefixLength)
    {
        Span<byte> bytes = stackalloc byte[4];
        address.TryWriteBytes(bytes, out _);
        BinaryPrimitives.WriteUInt32BigEndian(bytes, BinaryPrimitives.ReadUInt32BigEndian(bytes) | (uint)((1UL << (32 - prefixLength)) - 1));
        return new IPAddress(bytes);
    }
}
