using Hull.Core;
using Hull.Linux.Netlink;

namespace Hull.Network;

/// <summary>
/// The engine's nf_tables table: rules committed once, elements changed in transactions of their own. What should be in
/// it is kept here as well, so that it can be put back when somebody flushes the host's rule set.
/// </summary>
internal sealed class FirewallTable(HostStack host, string name)
{
    private readonly Lock gate = new();
    private readonly Dictionary<string, Dictionary<string, NftElement>> wanted =
        FirewallRules.Sets.ToDictionary(set => set, _ => new Dictionary<string, NftElement>());

    public string Name => name;

    /// <summary>
    /// Puts the table in place with exactly these elements. Where its rules are the same already, only elements change, in
    /// one transaction: traffic never sees a half-filled table.
    /// </summary>
    public void Install(IEnumerable<(string Set, NftElement Element)> elements)
    {
        lock (gate)
        {
            foreach (var set in wanted.Values) set.Clear();
            foreach (var (set, element) in elements) wanted[set][KeyOf(element)] = element;
            Restore();
        }
    }

    /// <summary>Removes and adds elements in one transaction.</summary>
    public void Change(IReadOnlyCollection<(string Set, NftElement Element)> remove, IReadOnlyCollection<(string Set, NftElement Element)> add)
    {
        if (remove.Count == 0 && add.Count == 0) return;
        lock (gate)
        {
            var gone = remove.Where(r => wanted[r.Set].ContainsKey(KeyOf(r.Element))).ToList();
            var batch = new NftBatch(name);
            foreach (var set in gone.GroupBy(r => r.Set, r => r.Element)) batch.Delete(set.Key, set.ToList());
            foreach (var set in add.GroupBy(a => a.Set, a => a.Element)) batch.Add(set.Key, set.ToList());
            var failure = host.Firewall.TryExecute(batch);
            if (failure.Errno is not (0 or NetlinkError.ENOENT))
                throw NetlinkError.Create(failure.Errno, $"change the firewall table {name}", failure.Message);
            foreach (var (set, element) in gone) wanted[set].Remove(KeyOf(element));
            foreach (var (set, element) in add) wanted[set][KeyOf(element)] = element;
            // ENOENT: the table or an element was taken away from outside. What should be there is known: put all of it back.
            if (failure.Errno == NetlinkError.ENOENT) Restore();
        }
    }

    /// <summary>Puts everything back where the table is missing; answers whether it was.</summary>
    public bool RestoreIfMissing()
    {
        lock (gate)
        {
            if (host.Firewall.Elements(name, FirewallRules.Marker) is not null) return false;
            Restore();
            return true;
        }
    }

    /// <summary>Differences between the kernel's elements and those that should be there.</summary>
    public IReadOnlyList<AuditFinding> Audit()
    {
        lock (gate)
        {
            var findings = new List<AuditFinding>();
            foreach (var (set, elements) in wanted)
            {
                var present = host.Firewall.Elements(name, set);
                if (present is null)
                {
                    findings.Add(new AuditFinding("element", $"set {set} of table {name}", Leaked: false));
                    continue;
                }

                var keys = present.Where(e => !e.IntervalEnd).Select(KeyOf).ToHashSet();
                var expected = elements.Where(e => !e.Value.IntervalEnd).Select(e => e.Key).ToHashSet();
                findings.AddRange(keys.Except(expected).Select(key => new AuditFinding("element", $"{set} {key}", Leaked: true)));
                findings.AddRange(expected.Except(keys).Select(key => new AuditFinding("element", $"{set} {key}", Leaked: false)));
            }

            return findings;
        }
    }

    /// <summary>Takes the table away with all in it.</summary>
    public void Delete()
    {
        lock (gate)
        {
            var batch = new NftBatch(name);
            batch.DeleteTable();
            var failure = host.Firewall.TryExecute(batch);
            if (failure.Errno is not (0 or NetlinkError.ENOENT)) throw NetlinkError.Create(failure.Errno, $"delete the firewall table {name}", failure.Message);
        }
    }

    private void Restore()
    {
        if (host.Firewall.Elements(name, FirewallRules.Marker) is null)
            host.Run(() => NftRuleset.Commit(FirewallRules.Replace(name)));
        var batch = new NftBatch(name);
        foreach (var (set, elements) in wanted)
        {
            batch.Flush(set);
            if (elements.Count > 0) batch.Add(set, elements.Values);
        }

        host.Firewall.Execute(batch, $"fill the firewall table {name}");
    }

    /// <summary>The key as text; the start and the end of plain ranges are elements of their own.</summary>
    private static string KeyOf(NftElement element) =>
        Convert.ToHexStringLower(element.Key) + (element.IntervalEnd ? " end" : element.KeyEnd is { } end ? "-" + Convert.ToHexStringLower(end) : "");
}
