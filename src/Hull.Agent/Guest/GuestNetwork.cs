using System.Net;
using System.Net.NetworkInformation;
using Hull.Agent.Protocol;
using Hull.Core;
using Hull.Linux.Netlink;

namespace Hull.Agent.Guest;

/// <summary>Gives the guest's network devices their names, addresses and routes, as the host decided them.</summary>
internal static class GuestNetwork
{
    public static void Configure(NetworkSetup setup)
    {
        if (setup.Interfaces.Count == 0) return;
        using var socket = new RouteSocket();
        // Interfaces in the order the kernel found them, which is that of their slots.
        var devices = socket.Links().Where(link => link.Name != "lo").OrderBy(link => link.Index).ToList();
        var batch = new RouteBatch();
        batch.SetUp(socket.IndexOf("lo"));
        var indexes = new Dictionary<string, int>();
        foreach (var wanted in setup.Interfaces)
        {
            if (wanted.Device >= devices.Count) throw HullException.NotFound($"this machine has no network device {wanted.Device}");
            var device = devices[(int)wanted.Device];
            indexes[wanted.Name] = device.Index;
            if (device.IsUp) batch.SetUp(device.Index, up: false);
            batch.SetAddress(device.Index, PhysicalAddress.Parse(wanted.MacAddress.Replace(':', '-').ToUpperInvariant()));
            if (device.Name != wanted.Name) batch.SetName(device.Index, wanted.Name);
            if (wanted.Mtu > 0) batch.SetMtu(device.Index, (int)wanted.Mtu);
            foreach (var address in wanted.Addresses)
            {
                var (ip, prefix) = ParseAddress(address);
                batch.AddAddress(device.Index, ip, prefix);
            }

            batch.SetUp(device.Index);
        }

        foreach (var route in setup.Routes)
        {
            batch.AddRoute(IPNetwork.Parse(route.Destination), indexes[route.Interface],
                route.Gateway.Length > 0 ? IPAddress.Parse(route.Gateway) : null);
        }

        socket.Execute(batch);
    }

    private static (IPAddress Address, int Prefix) ParseAddress(string text)
    {
        var slash = text.IndexOf('/', StringComparison.Ordinal);
        if (slash < 0 || !IPAddress.TryParse(text[..slash], out var address) || !int.TryParse(text[(slash + 1)..], out var prefix))
            throw HullException.Invalid($"invalid address '{text}': expected CIDR form");
        return (address, prefix);
    }
}
