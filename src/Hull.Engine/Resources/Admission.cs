using System.Globalization;
using Hull.Core;

namespace Hull.Engine.Resources;

/// <summary>What is kept for one workload, or asked for it.</summary>
/// <param name="NanoCpus">Billionths of processors.</param>
/// <param name="MemoryBytes">Bytes of memory.</param>
public readonly record struct Reservation(long NanoCpus, long MemoryBytes)
{
    public bool IsNothing => NanoCpus == 0 && MemoryBytes == 0;

    public static Reservation operator +(Reservation one, Reservation other) => new(one.NanoCpus + other.NanoCpus, one.MemoryBytes + other.MemoryBytes);
}

/// <param name="Id">Unique among claims.</param>
/// <param name="Name">For messages.</param>
/// <param name="Group">The group it is in; null for none.</param>
public sealed record Claim(string Id, string Name, string? Group, Reservation Reserved);

/// <summary>What a group keeps for its members, and the most they can have.</summary>
/// <param name="Limit">Members can together reserve no more; 0 is no limit.</param>
public sealed record GroupAllowance(string Name, Reservation Reserved, Reservation Limit);

/// <summary>
/// The ledger of reservations: nothing is promised twice. Whoever reserves nothing is always let in.
/// </summary>
/// <remarks>
/// A group with a reservation keeps it for its members, running or not, and what they reserve comes out of it. Members of a
/// group without one reserve of the machine, within the group's limits. Processors and memory are each for themselves.
/// </remarks>
public sealed class Admission(MachineCapacity capacity)
{
    private readonly Lock _gate = new();
    private readonly Dictionary<string, Claim> _claims = [];
    private readonly Dictionary<string, GroupAllowance> _groups = [];

    public MachineCapacity Capacity => capacity;

    /// <summary>Keeps what is asked, in place of what the same id had.</summary>
    /// <exception cref="HullException">ResourceExhausted: it is not to be had; everything stays as it was.</exception>
    public void Admit(Claim claim)
    {
        lock (_gate)
        {
            var before = _claims.GetValueOrDefault(claim.Id);
            if (claim.Reserved.NanoCpus > (before?.Reserved.NanoCpus ?? 0)) Check(claim, Resource.Processors);
            if (claim.Reserved.MemoryBytes > (before?.Reserved.MemoryBytes ?? 0)) Check(claim, Resource.Memory);
            Keep(claim);
        }
    }

    /// <summary>Whether it could ever be had, if nothing else ran.</summary>
    public void CheckPossible(Claim claim)
    {
        lock (_gate)
        {
            var others = new Admission(capacity);
            if (claim.Group is { } group && _groups.TryGetValue(group, out var allowance)) others._groups[group] = allowance;
            others.Admit(claim);
        }
    }

    /// <summary>Keeps what runs already.</summary>
    public void Take(Claim claim)
    {
        lock (_gate) Keep(claim);
    }

    public void Release(string id)
    {
        lock (_gate) _claims.Remove(id);
    }

    /// <summary>Keeps what a group reserves, in place of what it had.</summary>
    public void AdmitGroup(GroupAllowance group)
    {
        lock (_gate)
        {
            var before = _groups.GetValueOrDefault(group.Name);
            var members = Members(group.Name);
            foreach (var resource in (Resource[])[Resource.Processors, Resource.Memory])
            {
                var most = MostOf(group, resource);
                if (most > 0 && resource.Of(members) > most && (before is null || most < MostOf(before, resource)))
                {
                    throw new HullException(ErrorKind.ResourceExhausted, $"group {group.Name} cannot have {resource.Amount(most)} only: " +
                        $"its members that run reserve {resource.Text(resource.Of(members))} ({Holders(resource, claim => claim.Group == group.Name)}). Stop one of them, or reserve less for it");
                }
            }

            _groups[group.Name] = group;
            try
            {
                foreach (var resource in (Resource[])[Resource.Processors, Resource.Memory])
                {
                    if (resource.Of(group.Reserved) > (before is null ? 0 : resource.Of(before.Reserved)))
                        CheckMachine($"group {group.Name}", resource.Of(group.Reserved), Claimed(resource, group.Name), resource);
                }
            }
            catch
            {
                if (before is null) _groups.Remove(group.Name);
                else _groups[group.Name] = before;
                throw;
            }
        }
    }

    public void TakeGroup(GroupAllowance group)
    {
        lock (_gate) _groups[group.Name] = group;
    }

    public void ReleaseGroup(string name)
    {
        lock (_gate) _groups.Remove(name);
    }

    /// <summary>What the running members of a group reserve.</summary>
    public Reservation ReservedIn(string group)
    {
        lock (_gate) return Members(group);
    }

    /// <summary>All that is kept: groups' reservations, and those of workloads outside of them.</summary>
    public Reservation Total()
    {
        lock (_gate) return new Reservation(Claimed(Resource.Processors, null), Claimed(Resource.Memory, null));
    }

    public Reservation Of(string id)
    {
        lock (_gate) return _claims.GetValueOrDefault(id)?.Reserved ?? default;
    }

    private void Keep(Claim claim)
    {
        if (claim.Reserved.IsNothing) _claims.Remove(claim.Id);
        else _claims[claim.Id] = claim;
    }

    private Reservation Members(string group) =>
        _claims.Values.Where(claim => claim.Group == group).Aggregate(default(Reservation), (sum, claim) => sum + claim.Reserved);

    private static long MostOf(GroupAllowance group, Resource resource) => resource.Of(group.Reserved) is > 0 and var reserved ? reserved : resource.Of(group.Limit);

    private void Check(Claim claim, Resource resource)
    {
        var asked = resource.Of(claim.Reserved);
        if (claim.Group is not null && _groups.TryGetValue(claim.Group, out var group))
        {
            var most = MostOf(group, resource);
            var others = resource.Of(Members(group.Name)) - Own(claim, resource);
            if (most > 0 && asked + others > most)
            {
                var kind = resource.Of(group.Reserved) > 0 ? "a reservation" : "a limit";
                throw new HullException(ErrorKind.ResourceExhausted, $"cannot reserve {resource.Amount(asked)} for {claim.Name}: group {group.Name} has " +
                    $"{kind} of {resource.Text(most)}, of which {resource.Text(Math.Max(0, most - others))} is free ({Holders(resource, other => other.Group == group.Name && other.Id != claim.Id)}). " +
                    $"Stop one of them, reserve less, or raise the group's by hull group update {resource.Option} … {group.Name}");
            }

            // What the group has is reserved already.
            if (resource.Of(group.Reserved) > 0) return;
        }

        CheckMachine(claim.Name, asked, Claimed(resource, null) - Own(claim, resource), resource, claim.Id);
    }

    private long Own(Claim claim, Resource resource) => _claims.TryGetValue(claim.Id, out var own) && own.Group == claim.Group ? resource.Of(own.Reserved) : 0;

    private void CheckMachine(string name, long asked, long others, Resource resource, string? id = null)
    {
        var most = resource.Of(new Reservation(capacity.NanoCpus, capacity.MemoryBytes));
        if (asked + others <= most) return;
        throw new HullException(ErrorKind.ResourceExhausted, $"cannot reserve {resource.Amount(asked)} for {name}: the machine has {resource.Text(most)} to give, " +
            $"of which {resource.Text(Math.Max(0, most - others))} is free ({Holders(resource, claim => claim.Id != id && !IsOfGroupReservation(claim, resource), name)}). " +
            $"Stop one of them, reserve less, or set resources.{resource.Setting} of the engine's configuration");
    }

    private bool IsOfGroupReservation(Claim claim, Resource resource) =>
        claim.Group is not null && _groups.TryGetValue(claim.Group, out var group) && resource.Of(group.Reserved) > 0;

    /// <summary>What is kept of the machine, without one group's.</summary>
    private long Claimed(Resource resource, string? exceptGroup)
    {
        var sum = 0L;
        foreach (var group in _groups.Values)
        {
            if (group.Name != exceptGroup) sum += resource.Of(group.Reserved);
        }

        foreach (var claim in _claims.Values)
        {
            if (!IsOfGroupReservation(claim, resource)) sum += resource.Of(claim.Reserved);
        }

        return sum;
    }

    /// <summary>Who has it, the largest first.</summary>
    private string Holders(Resource resource, Func<Claim, bool> which, string? machineFor = null)
    {
        const int most = 8;
        var holders = _claims.Values.Where(which).Select(claim => (claim.Name, Amount: resource.Of(claim.Reserved)));
        if (machineFor is not null) holders = holders.Concat(_groups.Values.Select(group => (Name: "group " + group.Name, Amount: resource.Of(group.Reserved))).Where(group => group.Name != machineFor));
        var all = holders.Where(holder => holder.Amount > 0).OrderByDescending(holder => holder.Amount).ThenBy(holder => holder.Name, StringComparer.Ordinal).ToList();
        if (all.Count == 0) return "nothing else is reserved";
        var text = string.Join(", ", all.Take(most).Select(holder => $"{holder.Name} has {resource.Text(holder.Amount)}"));
        return all.Count > most ? $"{text} and {all.Count - most} more" : text;
    }

    /// <summary>One of the two kinds of things that are reserved.</summary>
    private sealed record Resource(string Unit, string Option, string Setting, Func<Reservation, long> Of, Func<long, string> Text)
    {
        public string Amount(long number) => Text(number) + Unit;

        public static Resource Processors { get; } = new(" processors", "--cpu-reservation", "cpu-overcommit", reservation => reservation.NanoCpus,
            nano => (nano / 1e9).ToString("0.##", CultureInfo.InvariantCulture));

        public static Resource Memory { get; } = new(" of memory", "--memory-reservation", "memory-overcommit", reservation => reservation.MemoryBytes,
            bytes => (bytes / (double)(1 << 20)).ToString("0.#", CultureInfo.InvariantCulture) + " MiB");
    }
}
