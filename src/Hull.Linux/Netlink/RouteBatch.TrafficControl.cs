using System.Buffers.Binary;
using Hull.Linux.Abi;

namespace Hull.Linux.Netlink;

public sealed partial class RouteBatch
{
    /// <summary>
    /// A token bucket at a link's root (tc-tbf(8)): <paramref name="bytesPerSecond"/> on average, <paramref name="burst"/>
    /// bytes at once, and a queue of at most a tenth of a second's worth behind it.
    /// </summary>
    public void SetTokenBucket(int index, ulong bytesPerSecond, uint burst)
    {
        TrafficHeader(Rtnetlink.RTM_NEWQDISC, CreateOrReplace, $"limit interface {index}", index, Rtnetlink.TC_H_ROOT);
        Writer.Attribute(Rtnetlink.TCA_KIND, "tbf");
        var options = Writer.BeginNested(Rtnetlink.TCA_OPTIONS);
        var queue = (uint)Math.Min(bytesPerSecond / 10 + burst, uint.MaxValue);
        Span<byte> parameters = stackalloc byte[36]; // struct tc_tbf_qopt: two tc_ratespec of 12, limit, buffer, mtu
        parameters.Clear();
        parameters[1] = 1; // TC_LINKLAYER_ETHERNET
        BinaryPrimitives.WriteUInt32LittleEndian(parameters[8..], (uint)Math.Min(bytesPerSecond, uint.MaxValue));
        BinaryPrimitives.WriteUInt32LittleEndian(parameters[24..], queue);
        BinaryPrimitives.WriteUInt32LittleEndian(parameters[28..], TicksFor(burst, bytesPerSecond));
        Writer.Attribute(Rtnetlink.TCA_TBF_PARMS, parameters);
        Writer.Attribute(Rtnetlink.TCA_TBF_BURST, burst);
        if (bytesPerSecond > uint.MaxValue) Writer.Attribute(Rtnetlink.TCA_TBF_RATE64, bytesPerSecond);
        Writer.EndNested(options);
    }

    /// <summary>Takes away what <see cref="SetTokenBucket"/> put at the root.</summary>
    public void DeleteRootQueue(int index) =>
        TrafficHeader(Rtnetlink.RTM_DELQDISC, Request, $"unlimit interface {index}", index, Rtnetlink.TC_H_ROOT);

    /// <summary>Makes room for filters on what a link receives (tc ingress).</summary>
    public void AddIngress(int index)
    {
        TrafficHeader(Rtnetlink.RTM_NEWQDISC, CreateNew, $"filter what interface {index} receives", index, Rtnetlink.TC_H_INGRESS, 0xffff0000);
        Writer.Attribute(Rtnetlink.TCA_KIND, "ingress");
    }

    /// <summary>Makes room for filters on what a link receives and on what leaves by it (tc-clsact).</summary>
    public void AddFilters(int index)
    {
        TrafficHeader(Rtnetlink.RTM_NEWQDISC, CreateNew, $"filter what passes interface {index}", index, Rtnetlink.TC_H_INGRESS, 0xffff0000);
        Writer.Attribute(Rtnetlink.TCA_KIND, "clsact");
    }

    public void DeleteFilters(int index)
    {
        TrafficHeader(Rtnetlink.RTM_DELQDISC, Request, $"stop filtering what passes interface {index}", index, Rtnetlink.TC_H_INGRESS, 0xffff0000);
        Writer.Attribute(Rtnetlink.TCA_KIND, "clsact");
    }

    public void DeleteIngress(int index)
    {
        TrafficHeader(Rtnetlink.RTM_DELQDISC, Request, $"stop filtering what interface {index} receives", index, Rtnetlink.TC_H_INGRESS, 0xffff0000);
        Writer.Attribute(Rtnetlink.TCA_KIND, "ingress");
    }

    /// <summary>Leads all that <paramref name="index"/> receives through <paramref name="target"/> (an ifb), whose root then limits it.</summary>
    public void RedirectIngress(int index, int target) => Redirect(index, target, 0xffff0000, "receives");

    /// <summary>The same after <see cref="AddFilters"/>.</summary>
    public void RedirectReceived(int index, int target) => Redirect(index, target, 0xffff0000 | Rtnetlink.TC_H_MIN_INGRESS, "receives");

    /// <summary>Leads all that leaves by <paramref name="index"/> through <paramref name="target"/> before it goes on to the link's own root; after <see cref="AddFilters"/>.</summary>
    public void RedirectSent(int index, int target) => Redirect(index, target, 0xffff0000 | Rtnetlink.TC_H_MIN_EGRESS, "sends");

    private void Redirect(int index, int target, uint parent, string what)
    {
        const uint allProtocols = 0x0300; // ETH_P_ALL in network order
        TrafficHeader(Rtnetlink.RTM_NEWTFILTER, CreateNew, $"redirect what interface {index} {what}", index, parent, 0, (1u << 16) | allProtocols);
        Writer.Attribute(Rtnetlink.TCA_KIND, "u32");
        var options = Writer.BeginNested(Rtnetlink.TCA_OPTIONS);
        var actionList = Writer.BeginNested(Rtnetlink.TCA_U32_ACT);
        var action = Writer.BeginNested(1);
        Writer.Attribute(Rtnetlink.TCA_ACT_KIND, "mirred");
        var actionOptions = Writer.BeginNested(Rtnetlink.TCA_ACT_OPTIONS);
        Span<byte> mirred = stackalloc byte[28]; // struct tc_mirred: tc_gen of 20, eaction, ifindex
        mirred.Clear();
        BinaryPrimitives.WriteInt32LittleEndian(mirred[8..], Rtnetlink.TC_ACT_STOLEN);
        BinaryPrimitives.WriteInt32LittleEndian(mirred[20..], Rtnetlink.TCA_EGRESS_REDIR);
        BinaryPrimitives.WriteInt32LittleEndian(mirred[24..], target);
        Writer.Attribute(Rtnetlink.TCA_MIRRED_PARMS, mirred);
        Writer.EndNested(actionOptions);
        Writer.EndNested(action);
        Writer.EndNested(actionList);
        Span<byte> selector = stackalloc byte[32]; // struct tc_u32_sel with one key whose mask of 0 matches everything
        selector.Clear();
        selector[0] = Rtnetlink.TC_U32_TERMINAL;
        selector[2] = 1;
        Writer.Attribute(Rtnetlink.TCA_U32_SEL, selector);
        Writer.EndNested(options);
    }

    /// <summary>struct tcmsg.</summary>
    private void TrafficHeader(ushort type, ushort flags, string action, int index, uint parent, uint handle = 0, uint info = 0)
    {
        actions.Add(action);
        Writer.Begin(type, flags);
        var header = Writer.Reserve(20);
        BinaryPrimitives.WriteInt32LittleEndian(header[4..], index);
        BinaryPrimitives.WriteUInt32LittleEndian(header[8..], handle);
        BinaryPrimitives.WriteUInt32LittleEndian(header[12..], parent);
        BinaryPrimitives.WriteUInt32LittleEndian(header[16..], info);
    }

    /// <summary>Time to send so many bytes in the scheduler's ticks of 64 ns (/proc/net/psched: 1000 ns per 15.625).</summary>
    private static uint TicksFor(uint bytes, ulong bytesPerSecond) =>
        (uint)Math.Min(bytes * 15_625_000.0 / bytesPerSecond, uint.MaxValue);
}
