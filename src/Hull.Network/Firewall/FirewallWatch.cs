using System.Text;
using Hull.Linux.Abi;
using Hull.Linux.Netlink;

namespace Hull.Network;

/// <summary>
/// Listens to changes of the host's rule set and puts the engine's table back when somebody flushed it, as restarts of
/// nftables.service and firewalld do. One thread, asleep in recv(2).
/// </summary>
internal sealed class FirewallWatch : IDisposable
{
    private readonly NetlinkSocket socket;
    private readonly Thread thread;
    private volatile bool stopping;

    public FirewallWatch(HostStack host, FirewallTable table, Action<string> log)
    {
        socket = host.Run(() => new NetlinkSocket(Rtnetlink.NETLINK_NETFILTER, Nfnetlink.NFNLGRP_NFTABLES));
        thread = new Thread(() => Watch(table, log), 256 * 1024) { IsBackground = true, Name = "firewall watch" };
        thread.Start();
    }

    public void Dispose()
    {
        stopping = true;
        socket.Wake();
        thread.Join();
        socket.Dispose();
    }

    private void Watch(FirewallTable table, Action<string> log)
    {
        var buffer = new byte[64 * 1024];
        var name = Encoding.UTF8.GetBytes(table.Name + "\0");
        while (!stopping)
        {
            var count = socket.Wait(buffer);
            // Lost notifications (ENOBUFS) may have been ours.
            if (count != -NetlinkError.ENOBUFS && (count <= 0 || !DeletesTable(buffer.AsSpan(0, count), name))) continue;
            try
            {
                if (table.RestoreIfMissing()) log($"the firewall table {table.Name} was deleted from outside: put back");
            }
            catch (Hull.Core.HullException error)
            {
                log($"the firewall table {table.Name} was deleted from outside and cannot be put back: {error.FullMessage}");
            }
        }
    }

    private static bool DeletesTable(ReadOnlySpan<byte> datagram, ReadOnlySpan<byte> name)
    {
        var messages = new NetlinkMessages(datagram);
        while (messages.Next())
        {
            if (messages.Type != ((Nfnetlink.NFNL_SUBSYS_NFTABLES << 8) | Nfnetlink.NFT_MSG_DELTABLE) || messages.Payload.Length < 4) continue;
            var attributes = new NetlinkAttributes(messages.Payload[4..]);
            while (attributes.Next())
            {
                if (attributes.Type == Nfnetlink.NFTA_TABLE_NAME && attributes.Value.SequenceEqual(name)) return true;
            }
        }

        return false;
    }
}
