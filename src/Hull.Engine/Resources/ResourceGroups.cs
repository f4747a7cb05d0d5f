using Hull.Core;
using Hull.Engine.Drivers;
using Hull.Engine.Drivers.Container;
using Hull.Linux.Cgroups;
using Hull.Linux.Files;

namespace Hull.Engine.Resources;

/// <summary>Groups: a document each below the data root, and a cgroup each from the first start of a member on.</summary>
internal sealed class ResourceGroups : IResourceGroups
{
    private readonly string _directory;
    private readonly string _cgroupParent;
    private readonly Admission _admission;
    private readonly TimeProvider _clock;
    private readonly Func<IGroupMembers> _members;
    private readonly Lock _gate = new();
    private readonly SortedDictionary<string, ResourceGroup> _groups = new(StringComparer.Ordinal);

    public ResourceGroups(EngineOptions options, Admission admission, TimeProvider clock, Func<IGroupMembers> members)
    {
        _directory = Path.Combine(options.DataRoot, "groups");
        (_cgroupParent, _admission, _clock, _members) = (options.CgroupParent, admission, clock, members);
        if (!Directory.Exists(_directory)) return;
        foreach (var file in Directory.EnumerateFiles(_directory, "*.json"))
        {
            var group = AtomicFile.ReadJson(file, ResourceJson.Default.ResourceGroup);
            _groups[group.Name] = group;
            admission.TakeGroup(AllowanceOf(group));
        }
    }

    public ResourceGroup Create(string name, ResourceLimits limits)
    {
        ResourceGroup.CheckName(name);
        LimitChecks.CheckGroup(limits);
        lock (_gate)
        {
            if (_groups.ContainsKey(name)) throw HullException.Conflict($"group {name} exists already: change it by hull group update");
            var group = new ResourceGroup { Name = name, CreatedAt = _clock.GetUtcNow(), Resources = limits };
            _admission.AdmitGroup(AllowanceOf(group));
            try
            {
                Prepare(group);
                Store(group);
            }
            catch
            {
                _admission.ReleaseGroup(name);
                CgroupOf(group).Remove();
                throw;
            }

            return group;
        }
    }

    public IReadOnlyList<GroupStatus> List()
    {
        lock (_gate) return [.. _groups.Values.Select(StatusOf)];
    }

    public GroupStatus Get(string name)
    {
        lock (_gate) return StatusOf(Find(name));
    }

    public ResourceGroup? TryGet(string name)
    {
        lock (_gate) return _groups.GetValueOrDefault(name);
    }

    public async Task<ResourceGroup> UpdateAsync(string name, ResourceLimits limits, CancellationToken cancellationToken)
    {
        var group = Update(name, limits);
        await _members().ApplyAsync(group, cancellationToken).ConfigureAwait(false);
        return group;
    }

    private ResourceGroup Update(string name, ResourceLimits limits)
    {
        lock (_gate)
        {
            var before = Find(name);
            var group = before with { Resources = LimitTranslation.Merge(before.Resources, limits) };
            LimitChecks.CheckGroup(group.Resources);
            _members().CheckMembers(group);
            _admission.AdmitGroup(AllowanceOf(group));
            try
            {
                var cgroup = CgroupOf(group);
                if (cgroup.Exists) cgroup.Apply(CgroupTranslation.ToLimits(limits));
                Store(group);
            }
            catch
            {
                _admission.TakeGroup(AllowanceOf(before));
                throw;
            }

            return group;
        }
    }

    public void Remove(string name)
    {
        lock (_gate)
        {
            var group = Find(name);
            if (_members().MembersOf(name) is { Count: > 0 } members)
                throw HullException.Conflict($"group {name} has members: remove {string.Join(", ", members)} first");
            CgroupOf(group).Remove();
            AtomicFile.Delete(PathOf(name));
            _groups.Remove(name);
            _admission.ReleaseGroup(name);
        }
    }

    public void Prepare(string name)
    {
        lock (_gate)
        {
            var group = Find(name);
            if (!CgroupOf(group).Exists) Prepare(group);
        }
    }

    public ICgroup CgroupOf(ResourceGroup group) => CgroupManager.Name(group.Name, $"{_cgroupParent}/{group.CgroupName}");

    private void Prepare(ResourceGroup group) => CgroupOf(group).Prepare(CgroupTranslation.ToLimits(group.Resources)).Dispose();

    private ResourceGroup Find(string name) =>
        _groups.GetValueOrDefault(name) ?? throw HullException.NotFound($"no such group: {name}; hull group create makes one");

    private GroupStatus StatusOf(ResourceGroup group) => new(group, _members().MembersOf(group.Name), _admission.ReservedIn(group.Name));

    private string PathOf(string name) => Path.Combine(_directory, name + ".json");

    private void Store(ResourceGroup group)
    {
        Directory.CreateDirectory(_directory);
        AtomicFile.WriteJson(PathOf(group.Name), group, ResourceJson.Default.ResourceGroup);
        _groups[group.Name] = group;
    }

    private static GroupAllowance AllowanceOf(ResourceGroup group) => new(group.Name,
        new Reservation(Math.Max(0, group.Resources.CpuReservation ?? 0), Math.Max(0, group.Resources.MemoryReservation ?? 0)),
        new Reservation(Math.Max(0, group.Resources.NanoCpus ?? 0), Math.Max(0, group.Resources.Memory ?? 0)));
}
