using Hull.Core;
using Hull.Linux.Files;

namespace Hull.Engine.Machines;

/// <summary>
/// Machines on disk: one directory each, named by id, with <c>machine.json</c> and the machine's disks. A directory
/// without the document is a creation that did not finish, and is removed when the store is opened.
/// </summary>
internal sealed class MachineStore
{
    private const string Document = "machine.json";
    private readonly string _root;
    private readonly Lock _gate = new();
    private readonly Dictionary<string, MachineRecord> _records = [];

    public MachineStore(string root)
    {
        _root = Directory.CreateDirectory(root, UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute).FullName;
        foreach (var directory in Directory.EnumerateDirectories(_root))
        {
            if (AtomicFile.TryReadJson(Path.Combine(directory, Document), MachineJson.Default.MachineRecord) is { } record)
                _records.Add(record.Id, record);
            else Directory.Delete(directory, recursive: true);
        }
    }

    public IReadOnlyList<MachineRecord> All
    {
        get
        {
            lock (_gate) return [.. _records.Values.OrderBy(record => record.Created)];
        }
    }

    public string DirectoryOf(string id) => Path.Combine(_root, id);

    /// <summary>Finds by name, id or unambiguous id prefix.</summary>
    public MachineRecord Get(string machine)
    {
        lock (_gate)
        {
            if (_records.TryGetValue(machine, out var record)) return record;
            var named = _records.Values.FirstOrDefault(candidate => candidate.Config.Name == machine);
            if (named is not null) return named;
            var matches = machine.Length == 0 ? [] : _records.Values.Where(candidate => candidate.Id.StartsWith(machine, StringComparison.Ordinal)).ToList();
            return matches switch
            {
                [var only] => only,
                [] => throw HullException.NotFound($"no machine '{machine}': hull vm ls shows those there are"),
                _ => throw HullException.Invalid($"'{machine}' begins the ids of {matches.Count} machines: give more of it"),
            };
        }
    }

    /// <summary>By the whole id; null where there is none.</summary>
    public MachineRecord? TryGet(string id)
    {
        lock (_gate) return _records.GetValueOrDefault(id);
    }

    /// <summary>Makes the directory of a machine to be; <see cref="Save"/> makes it one. The name is held from then on.</summary>
    public string Reserve(string id, string name)
    {
        lock (_gate) RequireFree(name, id);
        return Directory.CreateDirectory(DirectoryOf(id), UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute).FullName;
    }

    public MachineRecord Save(MachineRecord record)
    {
        lock (_gate)
        {
            RequireFree(record.Config.Name, record.Id);
            AtomicFile.WriteJson(Path.Combine(DirectoryOf(record.Id), Document), record, MachineJson.Default.MachineRecord);
            return _records[record.Id] = record;
        }
    }

    /// <summary>Forgets a machine, then removes its files: whatever is interrupted, it does not come back half.</summary>
    public void Remove(string id)
    {
        lock (_gate)
        {
            AtomicFile.Delete(Path.Combine(DirectoryOf(id), Document));
            _records.Remove(id);
        }

        Directory.Delete(DirectoryOf(id), recursive: true);
    }

    private void RequireFree(string name, string id)
    {
        if (_records.Values.Any(other => other.Config.Name == name && other.Id != id))
            throw HullException.Exists($"a machine named '{name}' exists already: choose another name or remove it with hull vm rm {name}");
    }
}
