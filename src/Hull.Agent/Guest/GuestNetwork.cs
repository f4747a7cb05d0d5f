using System.Net;
using System.Net.NetworkInformation;
using System.Net.Sockets;
using Hull.Agent.Protocol;
using Hull.Core;
using Hull.Linux;
using Hull.Linux.Abi;
using Hull.Linux.Netlink;
using Hull.Linux.Syscalls;

namespace Hull.Agent.Guest;

/// <summary>Gives the guest's network devices their names, addresses and routes, as the host decided them.</summary>
/// <remarks>
/// All that does not depend on the identity of a machine is done by <see cref="Prepare"/>, once for a template: bringing
/// up a device in an emulated machine takes longer than everything that is left.
/// </remarks>
internal static class GuestNetwork
{
    private static List<LinkInfo> s_devices = [];
    private static bool s_configured;

    /// <summary>How long a device that was plugged in may take to be found.</summary>
    private const int DeviceMilliseconds = 10_000;

    /// <summary>
    /// Brings all devices up, without addresses of any kind: the link-local one that IPv6 makes from the MAC address
    /// would be that of the template in each of its clones.
    /// </summary>
    public static void Prepare()
    {
        using var socket = new RouteSocket();
        var batch = new RouteBatch();
        s_devices = Devices(socket);
        foreach (var device in s_devices)
        {
            MakeNoAddresses(device.Name);
            batch.SetUp(device.Index);
        }

        batch.SetUp(socket.IndexOf("lo"));
        socket.Execute(batch);
        s_devices = Devices(socket);
    }

    public static void Configure(NetworkSetup setup)
    {
        if (setup.Interfaces.Count == 0 && !s_configured) return;
        using var socket = new RouteSocket();
        var batch = new RouteBatch();
        if (setup.Interfaces.Count == 0) Forget(socket, batch);
        var indexes = new Dictionary<string, int>();
        foreach (var wanted in setup.Interfaces)
        {
            var device = wanted.Device < s_devices.Count ? s_devices[(int)wanted.Device] : AwaitPlugged(socket, wanted);
            indexes[wanted.Name] = device.Index;
            if (s_configured) device = Clear(socket, device);
            Configure(batch, device, wanted);
        }

        foreach (var route in setup.Routes)
        {
            batch.AddRoute(IPNetwork.Parse(route.Destination), indexes[route.Interface],
                route.Gateway.Length > 0 ? IPAddress.Parse(route.Gateway) : null);
        }

        socket.Execute(batch);
        s_configured = setup.Interfaces.Count > 0;
    }

    /// <summary>All devices are as <see cref="Prepare"/> left them, but for their names and MAC addresses.</summary>
    private static void Forget(RouteSocket socket, RouteBatch batch)
    {
        for (var index = 0; index < s_devices.Count; index++)
        {
            s_devices[index] = Clear(socket, s_devices[index]);
            batch.SetUp(s_devices[index].Index);
            s_devices[index] = s_devices[index] with { Flags = s_devices[index].Flags | Rtnetlink.IFF_UP };
        }
    }

    /// <summary>
    /// A device that was plugged into a slot a moment ago: slots are looked through side by side, so that devices come in any
    /// order, and each is known by the address it has been given.
    /// </summary>
    private static LinkInfo AwaitPlugged(RouteSocket socket, InterfaceSetup wanted)
    {
        var mac = PhysicalAddress.Parse(wanted.MacAddress);
        var deadline = Environment.TickCount64 + DeviceMilliseconds;
        while (true)
        {
            if (Devices(socket).Find(device => mac.Equals(device.Address)) is { } found)
            {
                MakeNoAddresses(found.Name);
                return found;
            }

            if (Environment.TickCount64 > deadline)
                throw HullException.NotFound($"this machine has no network device {wanted.Device} with the address {wanted.MacAddress}");
            Thread.Sleep(2);
        }
    }

    /// <summary>Takes what the device had in the machine that this one was made from: a device that goes down loses its routes.</summary>
    private static LinkInfo Clear(RouteSocket socket, LinkInfo device)
    {
        var batch = new RouteBatch();
        batch.SetUp(device.Index, up: false);
        foreach (var address in socket.Addresses())
        {
            if (address.Index == device.Index && address.Address.AddressFamily == AddressFamily.InterNetwork)
                batch.DeleteAddress(device.Index, address.Address, address.PrefixLength);
        }

        socket.Execute(batch);
        return socket.Links().First(link => link.Index == device.Index);
    }

    private static void Configure(RouteBatch batch, LinkInfo device, InterfaceSetup wanted)
    {
        var mac = PhysicalAddress.Parse(wanted.MacAddress);
        if (device.Name != wanted.Name)
        {
            // A device that is up keeps its name (until Linux 6.2).
            batch.SetUp(device.Index, up: false);
            batch.SetName(device.Index, wanted.Name);
        }

        batch.SetAddress(device.Index, mac);
        if (wanted.Mtu > 0 && wanted.Mtu != device.Mtu) batch.SetMtu(device.Index, (int)wanted.Mtu);
        if (device.Name != wanted.Name || !device.IsUp) batch.SetUp(device.Index);
        var linkLocal = false;
        foreach (var address in wanted.Addresses)
        {
            var (ip, prefix) = ParseAddress(address);
            if (ip.AddressFamily == AddressFamily.InterNetworkV6 && !linkLocal)
            {
                batch.AddAddress(device.Index, LinkLocalOf(mac), 64);
                linkLocal = true;
            }

            batch.AddAddress(device.Index, ip, prefix);
        }
    }

    /// <summary>Interfaces in the order the kernel found them, which is that of their slots.</summary>
    private static List<LinkInfo> Devices(RouteSocket socket)
    {
        var devices = new List<LinkInfo>();
        foreach (var link in socket.Links())
        {
            if (link.Name != "lo") devices.Add(link);
        }

        devices.Sort(static (one, other) => one.Index.CompareTo(other.Index));
        return devices;
    }

    /// <summary>Documentation/networking/ip-sysctl.rst, addr_gen_mode: 1 makes no link-local address.</summary>
    private static void MakeNoAddresses(string device)
    {
        var result = FileCalls.OpenAt(Fcntl.AT_FDCWD, $"/proc/sys/net/ipv6/conf/{device}/addr_gen_mode", Fcntl.O_WRONLY);
        // A kernel without IPv6 has nothing to be told.
        if (result < 0) return;
        using var file = new SafeFd((int)result);
        Check.Result(FileCalls.Write(file.Value, "1"u8), $"keep {device} without addresses");
    }

    /// <summary>RFC 4291, appendix A: the EUI-64 of a MAC address, below fe80::/64.</summary>
    private static IPAddress LinkLocalOf(PhysicalAddress mac)
    {
        var bytes = mac.GetAddressBytes();
        return new IPAddress((ReadOnlySpan<byte>)
        [
            0xFE, 0x80, 0, 0, 0, 0, 0, 0, (byte)(bytes[0] ^ 2), bytes[1], bytes[2], 0xFF, 0xFE, bytes[3], bytes[4], bytes[5],
        ]);
    }

    private static (IPAddress Address, int Prefix) ParseAddress(string text)
    {
        var slash = text.IndexOf('/', StringComparison.Ordinal);
        if (slash < 0 || !IPAddress.TryParse(text[..slash], out var address) || !int.TryParse(text[(slash + 1)..], out var prefix))
            throw HullException.Invalid($"invalid address '{text}': expected CIDR form");
        return (address, prefix);
    }
}
