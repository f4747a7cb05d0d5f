namespace Hull.Network;

public sealed partial class NetworkManager
{
    /// <summary>Compares bridges, veths, taps, addresses, nft elements and namespaces with the state; empty means they agree.</summary>
    /// <remarks>Meaningful while nothing is being made or removed.</remarks>
    public async Task<IReadOnlyList<AuditFinding>> AuditAsync(CancellationToken cancellation = default)
    {
        await reaper.DrainAsync();
        var findings = new List<AuditFinding>();
        HashSet<string> known;
        List<NetworkState> states;
        HashSet<string> sandboxNames;
        lock (gate)
        {
            known = KnownDevices();
            states = [.. networks.Values];
            sandboxNames = [.. instances.Values.Where(i => i.Network.OwnsSandbox).Select(i => Path.GetFileName(i.Network.SandboxPath!))];
        }

        var links = host.Route.Links();
        var present = links.Select(l => l.Name).ToHashSet();
        findings.AddRange(present.Where(n => names.IsOurs(n) && !known.Contains(n)).Select(n => new AuditFinding(DeviceNames.KindOf(n), n, Leaked: true)));
        findings.AddRange(known.Where(n => !present.Contains(n)).Select(n => new AuditFinding(DeviceNames.KindOf(n), n, Leaked: false)));
        AuditAddresses(states, findings);
        AuditSandboxes(sandboxNames, findings);
        if (options.Firewall) findings.AddRange(table.Audit());
        cancellation.ThrowIfCancellationRequested();
        return findings;
    }

    private void AuditAddresses(List<NetworkState> states, List<AuditFinding> findings)
    {
        var addresses = host.Route.Addresses();
        foreach (var state in states.Where(s => s.Record.BridgeName is not null && !s.Record.ForeignBridge))
        {
            var actual = addresses.Where(a => a.Index == state.BridgeIndex && !a.Address.IsIPv6LinkLocal).Select(a => a.Address).ToHashSet();
            var expected = state.Record.Subnets.Select(s => s.Gateway).OfType<System.Net.IPAddress>().ToHashSet();
            findings.AddRange(actual.Except(expected).Select(a => new AuditFinding("address", $"{a} on {state.Record.BridgeName}", Leaked: true)));
            findings.AddRange(expected.Except(actual).Select(a => new AuditFinding("address", $"{a} on {state.Record.BridgeName}", Leaked: false)));
        }
    }

    private void AuditSandboxes(HashSet<string> expected, List<AuditFinding> findings)
    {
        var bound = Directory.EnumerateFiles(store.Sandboxes).Select(p => Path.GetFileName(p)!).ToHashSet();
        findings.AddRange(bound.Except(expected).Select(n => new AuditFinding("namespace", Path.Combine(store.Sandboxes, n), Leaked: true)));
        findings.AddRange(expected.Except(bound).Select(n => new AuditFinding("namespace", Path.Combine(store.Sandboxes, n), Leaked: false)));
    }
}
