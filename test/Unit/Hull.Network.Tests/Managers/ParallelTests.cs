namespace Hull.Network.Tests;

public sealed class ParallelTests
{
    [Fact]
    public async Task Many_starts_and_stops_at_once_leave_nothing_and_share_no_address()
    {
        await using var playground = await Playground.CreateAsync();
        await playground.Manager.CreateNetworkAsync(new NetworkSpec { Name = "own", EnableIPv6 = true });
        var count = Environment.GetEnvironmentVariable("HULL_SOAK") == "1" ? 1000 : 40;
        var started = await Task.WhenAll(Enumerable.Range(0, count).Select(i => Task.Run(() =>
            playground.Manager.SetUpAsync(playground.Spec("p" + i, "own", "bridge") with { Ports = [new PortMapping(80), new PortMapping(53, TransportProtocol.Udp)] }))));

        Assert.Equal(count * 2, started.SelectMany(s => s.Endpoints).Select(e => e.IPv4Address).Distinct().Count());
        Assert.Equal(count * 2, started.SelectMany(s => s.Ports).Select(p => (p.Protocol, p.HostPort)).Distinct().Count());
        Assert.Empty(await playground.Manager.AuditAsync());
        await Task.WhenAll(started.Select((s, i) => Task.Run(async () =>
        {
            if (i % 2 == 0) await playground.Manager.DisconnectAsync(s.InstanceId, "own");
            await playground.Manager.TearDownAsync(s.InstanceId);
        })));
        Assert.Empty(await playground.Manager.AuditAsync());
        Assert.Empty(playground.Manager.Instances);
        await playground.Manager.RemoveNetworkAsync("own");
    }
}
