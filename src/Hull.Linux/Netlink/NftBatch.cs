using System.Buffers.Binary;
using Hull.Linux.Abi;

namespace Hull.Linux.Netlink;

/// <summary>
/// An element of an nf_tables set or map in the kernel's form: the concatenated parts of the key, each padded to
/// 4 bytes, in network order.
/// </summary>
/// <param name="Data">The value, for maps.</param>
/// <param name="KeyEnd">The last key, for sets of concatenated ranges.</param>
/// <param name="IntervalEnd">Marks the first key behind a range, for sets of plain ranges.</param>
public readonly record struct NftElement(byte[] Key, byte[]? Data = null, byte[]? KeyEnd = null, bool IntervalEnd = false);

/// <summary>
/// Changes to the sets of one table of family inet: one nfnetlink transaction, all or nothing
/// (net/netfilter/nfnetlink.c, nfnetlink_rcv_batch).
/// </summary>
public sealed class NftBatch
{
    /// <summary>A nested attribute holds at most 65,535 bytes; an element here is below 150.</summary>
    private const int ElementsPerMessage = 400;
    private readonly string table;
    private bool finished;

    public NftBatch(string table)
    {
        this.table = table;
        WriteBound(Nfnetlink.NFNL_MSG_BATCH_BEGIN);
    }

    public NetlinkWriter Writer { get; } = new();

    /// <summary>Number of messages that the kernel acknowledges.</summary>
    public int Acknowledged { get; private set; }

    /// <summary>Adds elements. One that is there already with the same value is fine; another value fails with EEXIST.</summary>
    public void Add(string set, IReadOnlyCollection<NftElement> elements) =>
        Change(Nfnetlink.NFT_MSG_NEWSETELEM, Rtnetlink.NLM_F_CREATE, set, elements);

    /// <summary>Deletes elements; one that is missing fails the transaction with ENOENT.</summary>
    public void Delete(string set, IReadOnlyCollection<NftElement> elements) =>
        Change(Nfnetlink.NFT_MSG_DELSETELEM, 0, set, elements);

    /// <summary>Deletes all elements of a set.</summary>
    public void Flush(string set) => Begin(Nfnetlink.NFT_MSG_DELSETELEM, 0, set);

    public void DeleteTable()
    {
        WriteHeader(Nfnetlink.NFT_MSG_DELTABLE, 0);
        Writer.Attribute(Nfnetlink.NFTA_TABLE_NAME, table);
    }

    /// <summary>Closes the transaction; nothing can be added behind it.</summary>
    public void Finish()
    {
        if (finished) return;
        finished = true;
        WriteBound(Nfnetlink.NFNL_MSG_BATCH_END);
        Writer.Finish();
    }

    private void Change(byte type, ushort flags, string set, IReadOnlyCollection<NftElement> elements)
    {
        foreach (var chunk in elements.Chunk(ElementsPerMessage))
        {
            Begin(type, flags, set);
            var list = Writer.BeginNested(Nfnetlink.NFTA_SET_ELEM_LIST_ELEMENTS);
            foreach (var element in chunk) Write(element);
            Writer.EndNested(list);
        }
    }

    private void Begin(byte type, ushort flags, string set)
    {
        WriteHeader(type, flags);
        Writer.Attribute(Nfnetlink.NFTA_SET_ELEM_LIST_TABLE, table);
        Writer.Attribute(Nfnetlink.NFTA_SET_ELEM_LIST_SET, set);
    }

    private void Write(in NftElement element)
    {
        var entry = Writer.BeginNested(Nfnetlink.NFTA_LIST_ELEM);
        if (element.IntervalEnd) Writer.AttributeNetworkOrder(Nfnetlink.NFTA_SET_ELEM_FLAGS, Nfnetlink.NFT_SET_ELEM_INTERVAL_END);
        WriteData(Nfnetlink.NFTA_SET_ELEM_KEY, element.Key);
        if (element.KeyEnd is { } end) WriteData(Nfnetlink.NFTA_SET_ELEM_KEY_END, end);
        if (element.Data is { } data) WriteData(Nfnetlink.NFTA_SET_ELEM_DATA, data);
        Writer.EndNested(entry);
    }

    private void WriteData(ushort type, byte[] value)
    {
        var nested = Writer.BeginNested(type);
        Writer.Attribute(Nfnetlink.NFTA_DATA_VALUE, value);
        Writer.EndNested(nested);
    }

    /// <summary>struct nfgenmsg of a change to the table.</summary>
    private void WriteHeader(byte type, ushort flags)
    {
        Writer.Begin((ushort)((Nfnetlink.NFNL_SUBSYS_NFTABLES << 8) | type), (ushort)(Rtnetlink.NLM_F_REQUEST | Rtnetlink.NLM_F_ACK | flags));
        Writer.Reserve(4)[0] = Nfnetlink.NFPROTO_INET;
        Acknowledged++;
    }

    /// <summary>The begin and end of a transaction name the subsystem in network order.</summary>
    private void WriteBound(ushort type)
    {
        Writer.Begin(type, Rtnetlink.NLM_F_REQUEST);
        BinaryPrimitives.WriteUInt16BigEndian(Writer.Reserve(4)[2..], Nfnetlink.NFNL_SUBSYS_NFTABLES);
    }
}
