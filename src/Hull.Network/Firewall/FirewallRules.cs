using System.Security.Cryptography;
using System.Text;

namespace Hull.Network;

/// <summary>
/// The rules of an engine's one table. They never change while the engine runs: bridges, subnets and published ports
/// are elements of its sets and maps. No verdict of this table reaches beyond it: <c>accept</c> ends this table's chain
/// only, so whatever else filters on the host has its say too, and <c>drop</c> concerns nothing but Hull's own bridges.
/// </summary>
internal static class FirewallRules
{
    public const string Bridges = "bridges";
    public const string Open = "open";
    public const string Internal = "internal";
    public const string Guarded = "guarded";
    public const string Masquerade4 = "masquerade4";
    public const string Masquerade6 = "masquerade6";
    public const string Local4 = "local4";
    public const string Local6 = "local6";
    public const string Publish4 = "publish4";
    public const string Publish6 = "publish6";
    public const string Any4 = "any4";
    public const string Any6 = "any6";

    public static readonly string[] Sets =
        [Bridges, Open, Internal, Guarded, Masquerade4, Masquerade6, Local4, Local6, Publish4, Publish6, Any4, Any6];

    /// <summary>A set of this name stands in the table for the version of the rules.</summary>
    public static readonly string Marker = "rules_" + Convert.ToHexStringLower(SHA256.HashData(Encoding.UTF8.GetBytes(Body)))[..16];

    // Established connections leave by the first rule, so that a packet costs one lookup.
    // A port published on a loopback address is reachable through the output hook only: a packet that comes from outside
    // with such a destination is a forgery, and prerouting leaves it to the kernel, which drops it.
    // ::1 is left alone altogether: the kernel does not let that source leave the loopback device (there is no route_localnet
    // for IPv6), and a refused connection lets clients of "localhost" go on to 127.0.0.1 at once.
    // Connections that a bridge's own endpoint makes to a published port, and those of the host from 127.0.0.1, are
    // masqueraded, because the answer would not come back this way otherwise. All others keep their source address.
    private const string Body = """
            set bridges { type ifname; }
            set open { type ifname . ifname; }
            set internal { type ifname; }
            set guarded { type nf_proto; }
            set masquerade4 { type ipv4_addr; flags interval; }
            set masquerade6 { type ipv6_addr; flags interval; }
            set local4 { type ifname . ipv4_addr; flags interval; }
            set local6 { type ifname . ipv6_addr; flags interval; }
            map publish4 { type ipv4_addr . inet_proto . inet_service : ipv4_addr . inet_service; }
            map publish6 { type ipv6_addr . inet_proto . inet_service : ipv6_addr . inet_service; }
            map any4 { type inet_proto . inet_service : ipv4_addr . inet_service; }
            map any6 { type inet_proto . inet_service : ipv6_addr . inet_service; }
            chain spoofed {
                type filter hook prerouting priority raw; policy accept;
                ip daddr 127.0.0.0/8 iifname @bridges drop
            }
            chain publish {
                dnat ip to ip daddr . meta l4proto . th dport map @publish4
                dnat ip6 to ip6 daddr . meta l4proto . th dport map @publish6
                dnat ip to meta l4proto . th dport map @any4
                dnat ip6 to meta l4proto . th dport map @any6
            }
            chain prerouting {
                type nat hook prerouting priority dstnat; policy accept;
                ip daddr 127.0.0.0/8 return
                ip6 daddr ::1 return
                fib daddr type local jump publish
            }
            chain output {
                type nat hook output priority -100; policy accept;
                ip6 daddr ::1 return
                fib daddr type local jump publish
            }
            chain postrouting {
                type nat hook postrouting priority srcnat; policy accept;
                oifname @bridges ip saddr 127.0.0.0/8 masquerade
                ct status dnat oifname . ip saddr @local4 masquerade
                ct status dnat oifname . ip6 saddr @local6 masquerade
                oifname @bridges return
                ip saddr @masquerade4 masquerade
                ip6 saddr @masquerade6 masquerade
            }
            chain forward {
                type filter hook forward priority filter; policy accept;
                ct state vmap { established : accept, related : accept }
                iifname != @bridges oifname != @bridges meta nfproto @guarded drop
                iifname != @bridges oifname != @bridges accept
                iifname . oifname @open accept
                iifname @internal drop
                oifname @internal drop
                oifname @bridges ct status dnat accept
                oifname @bridges drop
            }
        """;

    /// <summary>One transaction that replaces the table, whatever it was, by the rules with empty sets.</summary>
    public static string Replace(string table) => $$"""
        table inet {{table}}
        delete table inet {{table}}
        table inet {{table}} {
            set {{Marker}} { type mark; }
        {{Body}}
        }
        """;
}
