using System.Collections.Concurrent;
using Hull.Core;
using Hull.Engine.Users;
using Hull.Linux;
using Hull.Linux.Abi;
using Hull.Linux.Files;
using Hull.Linux.Syscalls;
using Hull.Runtime.Setup;

namespace Hull.Engine.Workloads;

/// <summary>A user namespace while an instance is put into it.</summary>
/// <param name="Path">Where this process's children find it.</param>
internal sealed record HeldUserNamespace(string Path, SafeFd? Owned) : IDisposable
{
    public void Dispose() => Owned?.Dispose();
}

/// <summary>User namespaces: decided at creation, made at each start.</summary>
internal sealed partial class WorkloadService
{
    private readonly ConcurrentDictionary<string, UserMap> _reservedMaps = new(StringComparer.Ordinal);
    private readonly Lock _mapGate = new();

    /// <summary>The record with its user namespace; refuses what cannot be together.</summary>
    private WorkloadRecord WithUserNamespace(WorkloadRecord record)
    {
        var mode = UserNamespaceMode.Parse(record.Config.Namespaces.User);
        if (record.Isolation != "container")
        {
            return mode.Kind is UserNamespaceKind.Default or UserNamespaceKind.Host ? record
                : throw HullException.Unsupported($"a workload of isolation {record.Isolation} has a kernel with users of its own: leave the user namespace out");
        }

        if (SharedWith(record.Config, mode) is { } other) return Join(record, mode, other);
        var map = mode.Kind switch
        {
            UserNamespaceKind.Default => Options.UserNamespaceRemap,
            UserNamespaceKind.Host => null,
            UserNamespaceKind.Private when Options.UserNamespaceRemap is { } remap => remap,
            _ => Reserve(record.Id, mode.Size),
        };
        if (map is null) return record;
        CheckInside(record.Config);
        return record with { UserMap = map };
    }

    /// <summary>The workload any of whose namespaces it shares: they belong to that one's user namespace, and so must it.</summary>
    private Workload? SharedWith(WorkloadConfig config, UserNamespaceMode mode)
    {
        if (mode.Kind == UserNamespaceKind.Joined) return Get(mode.Workload);
        Workload? found = null;
        foreach (var shared in (string?[])[config.Networking.Mode, config.Namespaces.Pid, config.Namespaces.Ipc, config.Namespaces.Uts])
        {
            if (shared?.StartsWith("container:", StringComparison.Ordinal) != true) continue;
            var other = Get(shared[10..]);
            if (found is not null && OwnerOf(found.Record) != OwnerOf(other.Record))
                throw HullException.Invalid($"{found.Name} and {other.Name} are in different user namespaces: a container cannot share namespaces of both");
            found = other;
        }

        return found;
    }

    private static WorkloadRecord Join(WorkloadRecord record, UserNamespaceMode mode, Workload other)
    {
        var fits = mode.Kind switch
        {
            UserNamespaceKind.Default or UserNamespaceKind.Joined => true,
            UserNamespaceKind.Host => other.Record.UserMap is null,
            _ => false,
        };
        if (!fits) throw HullException.Invalid($"a container that shares a namespace of {other.Name} has its user namespace too: leave --userns out");
        if (other.Record.UserMap is not { } map) return record;
        CheckInside(record.Config);
        return record with { UserMap = map, UserNamespaceOf = other.Id };
    }

    /// <summary>The workload that brought the user namespace this one is in; null for the host's.</summary>
    private string? OwnerOf(WorkloadRecord record) => record switch
    {
        { UserMap: null } => null,
        { UserNamespaceOf: { } other } => TryFind(other) is { } found ? OwnerOf(found.Record) : other,
        _ => record.Id,
    };

    /// <summary>What belongs to the host's user namespace is out of reach of root in another.</summary>
    private static void CheckInside(WorkloadConfig config)
    {
        var what = config switch
        {
            { Security.Privileged: true } => "privileges over the machine",
            { Networking.Mode: "host" } => "the host's network",
            { Namespaces.Pid: "host" } => "the host's processes",
            _ => null,
        };
        if (what is not null) throw HullException.Invalid($"a container in a user namespace of its own cannot have {what}: add --userns host to run it in the host's");
    }

    private UserMap Reserve(string id, uint size)
    {
        var (users, groups) = (Options.SubordinateIds.Users(EngineOptions.AutoUser), Options.SubordinateIds.Groups(EngineOptions.AutoUser));
        lock (_mapGate)
        {
            var taken = _workloads.Values.Select(workload => workload.Record.UserMap).Concat(_reservedMaps.Values)
                .Append(Options.UserNamespaceRemap).OfType<UserMap>().ToList();
            var map = new UserMap(
                IdRanges.Allocate(users, taken.SelectMany(other => other.Users), size, "user"),
                IdRanges.Allocate(groups, taken.SelectMany(other => other.Groups), size, "group"));
            _reservedMaps[id] = map;
            return map;
        }
    }

    /// <summary>The namespace for this start: another's, or one that is made now, because its network must be made in it.</summary>
    private HeldUserNamespace? OpenUserNamespace(WorkloadRecord record)
    {
        if (record.UserMap is not { } map) return null;
        if (record.UserNamespaceOf is { } owner) return new HeldUserNamespace($"/proc/{Get(owner).RequireRunning().ProcessId}/ns/user", null);
        var made = UserNamespaces.Create(map.Users, map.Groups);
        // runc 1.1.10 and later take every path that begins with /proc/NUMBER for the namespace of that process, and compare its mappings.
        return new HeldUserNamespace($"/proc/./{Environment.ProcessId}/fd/{made.Value}", made);
    }

    /// <summary>Root inside may edit its hosts and resolv.conf.</summary>
    private static void GiveFiles(IEnumerable<string?> paths, UserMap map)
    {
        foreach (var path in paths.OfType<string>())
        {
            using var file = Check.Descriptor(FileCalls.OpenAt(Fcntl.AT_FDCWD, path, Fcntl.O_PATH | Fcntl.O_NOFOLLOW), $"open {path}");
            DescriptorMetadata.SetOwner(file, map.RootUser, map.RootGroup, path);
        }
    }
}
