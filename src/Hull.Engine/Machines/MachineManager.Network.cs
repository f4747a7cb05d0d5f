using System.Globalization;
using System.Net;
using Hull.Core;
using Hull.Engine.Workloads;
using Hull.Hypervisor;
using Hull.Hypervisor.CloudInit;
using Hull.Linux;
using Hull.Network;

namespace Hull.Engine.Machines;

/// <summary>
/// Machines on the engine's networks: a tap for each NIC that is on one, its names, the published ports, and what the
/// guest is told of it by cloud-init. A machine keeps its addresses from start to start as long as nobody else took them.
/// </summary>
public sealed partial class MachineManager
{
    /// <summary>Plugs a NIC on a network in, into a running machine at once. The guest has to set up its address, which the answer shows.</summary>
    public Task<MachineView> AttachNicAsync(string machine, string network, string? address = null, CancellationToken cancellationToken = default) =>
        ExclusiveAsync(machine, async record =>
        {
            var index = Enumerable.Range(0, int.MaxValue).First(number => record.Config.Nics.All(nic => nic.Id != $"nic{number}"));
            var nic = new MachineNic($"nic{index}", network, NewMac(record.Id, index), Address: address);
            if (Find(record.Id) is { } live)
            {
                nic = nic with { Slot = FreeSlot(record.Config) };
                nic = await PlugNicAsync(record, live.Machine, nic, cancellationToken).ConfigureAwait(false);
            }

            return View(_store.Save(record with { Config = (record.Config with { Nics = [.. record.Config.Nics, nic] }).Validated() }));
        }, cancellationToken);

    /// <summary>Takes a NIC away. A running machine gives up only those that were plugged in while it ran.</summary>
    public Task<MachineView> DetachNicAsync(string machine, string nicId, CancellationToken cancellationToken = default) =>
        ExclusiveAsync(machine, async record =>
        {
            var nic = record.Config.Nics.FirstOrDefault(candidate => candidate.Id == nicId)
                ?? throw HullException.NotFound($"machine '{record.Config.Name}' has no NIC '{nicId}': it has {string.Join(", ", record.Config.Nics.Select(one => one.Id))}");
            if (Find(record.Id) is { } live)
            {
                RequirePlugged(record, nicId, nic.Slot);
                await live.Machine.DetachAsync(nicId, cancellationToken).ConfigureAwait(false);
                if (nic.Network is not null) await Networks.DisconnectAsync(record.Id, nic.Network, cancellationToken).ConfigureAwait(false);
            }

            return View(_store.Save(record with { Config = record.Config with { Nics = [.. record.Config.Nics.Where(one => one.Id != nicId)] } }));
        }, cancellationToken);

    private NetworkManager Networks => _options.Networks ?? throw HullException.Unsupported("this engine has no networks");

    /// <summary>Makes endpoints and taps for a machine that is about to start, and notes the addresses it got.</summary>
    /// <param name="keepAddresses">Whether the guest is in the middle of something and cannot do with others.</param>
    private async Task<(MachineRecord Record, InstanceNetwork? Network)> ConnectAsync(MachineRecord record, bool keepAddresses, CancellationToken cancellationToken)
    {
        var connected = record.Config.Nics.Where(nic => nic.Network is not null).ToList();
        if (_options.Networks is null && connected.Count == 0) return (record, null);
        await Networks.TearDownAsync(record.Id, cancellationToken).ConfigureAwait(false);
        var network = await Networks.SetUpAsync(new InstanceNetworkSpec
        {
            InstanceId = record.Id,
            Name = record.Config.Name,
            Kind = AttachmentKind.Tap,
            Endpoints = [.. connected.Select(nic => EndpointFor(record.Config, nic))],
            Ports = [.. record.Config.Ports.Select(WorkloadService.ToMapping)],
        }, cancellationToken).ConfigureAwait(false);
        var endpoints = connected.Zip(network.Endpoints).ToDictionary(pair => pair.First.Id, pair => pair.Second);
        var nics = record.Config.Nics.Select(nic => endpoints.TryGetValue(nic.Id, out var endpoint) ? WithAddresses(nic, endpoint) : nic).ToList();
        if (keepAddresses && record.Config.Nics.Zip(nics).FirstOrDefault(pair => pair.First.LastIPv4 is not null && pair.First.LastIPv4 != pair.Second.LastIPv4) is { First: { } moved })
        {
            await Networks.TearDownAsync(record.Id, CancellationToken.None).ConfigureAwait(false);
            throw HullException.Conflict($"machine '{record.Config.Name}' cannot go on from its memory: its address {moved.LastIPv4} on '{moved.Network}' belongs to another instance now");
        }

        return (record with { Config = record.Config with { Nics = nics } }, network);
    }

    private Task DisconnectAsync(string id) => _options.Networks is { } networks ? networks.TearDownAsync(id) : Task.CompletedTask;

    private EndpointSpec EndpointFor(MachineConfig config, MachineNic nic) => new()
    {
        Network = nic.Network!,
        MacAddress = nic.MacAddress,
        InterfaceName = InterfaceOf(nic),
        Limits = BandwidthOf(config),
        IPv4Address = nic.Address is { } address ? ParseAddress(address) : null,
        FormerIPv4Address = nic.LastIPv4 is { } four ? ParseAddress(four) : null,
        FormerIPv6Address = nic.LastIPv6 is { } six ? ParseAddress(six) : null,
    };

    /// <summary>Name of the interface in the guest: nic0 of the machine is its eth0.</summary>
    private static string InterfaceOf(MachineNic nic) =>
        nic.Id.StartsWith("nic", StringComparison.Ordinal) ? "eth" + nic.Id[3..] : nic.Id;

    private static IPAddress ParseAddress(string text) =>
        IPAddress.TryParse(text, out var address) ? address : throw HullException.Invalid($"'{text}' is not an IP address");

    private static MachineNic WithAddresses(MachineNic nic, Endpoint endpoint) =>
        nic with { LastIPv4 = endpoint.IPv4Address?.ToString(), LastIPv6 = endpoint.IPv6Address?.ToString() };

    private SafeFd OpenTap(MachineRecord record, MachineNic nic) => SafeFd.Take(Networks.OpenTap(record.Id, nic.Network!));

    private async Task<MachineNic> PlugNicAsync(MachineRecord record, IVirtualMachine machine, MachineNic nic, CancellationToken cancellationToken)
    {
        var endpoint = await Networks.ConnectAsync(record.Id, EndpointFor(record.Config, nic), cancellationToken).ConfigureAwait(false);
        try
        {
            await PlugConnectedNicAsync(record, machine, nic, cancellationToken).ConfigureAwait(false);
            return WithAddresses(nic, endpoint);
        }
        catch
        {
            await Networks.DisconnectAsync(record.Id, nic.Network!, CancellationToken.None).ConfigureAwait(false);
            throw;
        }
    }

    private async Task PlugConnectedNicAsync(MachineRecord record, IVirtualMachine machine, MachineNic nic, CancellationToken cancellationToken)
    {
        using var tap = nic.Network is null ? null : OpenTap(record, nic);
        await machine.AttachNicAsync(new NicConfig(nic.Id, nic.MacAddress, tap is null ? new UnconnectedNic() : new PassedTapNic(tap), nic.Model, nic.Slot), cancellationToken)
            .ConfigureAwait(false);
    }

    /// <summary>What cloud-init is told of the NICs that are there at the start; null where none is on a network.</summary>
    private static string? DescribeNetwork(MachineConfig config, InstanceNetwork? network)
    {
        if (network is null) return null;
        List<GuestInterface> interfaces = [];
        foreach (var endpoint in network.Endpoints.Where(endpoint => config.Nics.Any(nic => nic.Slot is null && nic.MacAddress == endpoint.MacAddress)))
        {
            List<string> addresses = [], gateways = [];
            if (endpoint.IPv4Address is { } four) addresses.Add(string.Create(CultureInfo.InvariantCulture, $"{four}/{endpoint.IPv4PrefixLength}"));
            if (endpoint.IPv6Address is { } six) addresses.Add(string.Create(CultureInfo.InvariantCulture, $"{six}/{endpoint.IPv6PrefixLength}"));
            if (endpoint is { DefaultRoute: true, IPv4Gateway: { } way }) gateways.Add(way.ToString());
            if (endpoint is { DefaultRoute: true, IPv6Gateway: { } way6 }) gateways.Add(way6.ToString());
            interfaces.Add(new GuestInterface(endpoint.InterfaceName, endpoint.MacAddress, endpoint.Mtu, addresses, gateways));
        }

        // systemd-resolved asks no server for a name without a dot; with the network as a search domain it becomes one with a dot.
        return interfaces.Count == 0 ? null : GuestNetwork.Describe(interfaces, [.. network.Resolver.Servers.Select(server => server.ToString())],
            [.. network.Endpoints.Select(endpoint => endpoint.NetworkName).Concat(network.Resolver.Search).Distinct()]);
    }
}
