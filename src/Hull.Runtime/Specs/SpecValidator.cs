using Hull.Core;
using Hull.Oci.Runtime;

namespace Hull.Runtime.Specs;

/// <summary>Refuses specs that contradict themselves or ask for what does not exist, before anything is made.</summary>
public static class SpecValidator
{
    /// <summary>Checks the whole of a config.json.</summary>
    public static void Validate(Spec spec)
    {
        RequireVersion(spec.OciVersion);
        if (spec.Process is { } process) ValidateProcess(process);
        if (string.IsNullOrEmpty(spec.Root?.Path)) throw HullException.Invalid("root.path is missing");
        var linux = spec.Linux ?? throw HullException.Invalid("linux is missing: only Linux containers are supported");
        ValidateNamespaces(spec, linux);
        foreach (var mount in spec.Mounts ?? []) ValidateMount(mount, linux);
        ValidateHooks(spec.Hooks);
        ValidateSysctls(linux);
        foreach (var device in linux.Devices ?? []) ValidateDevice(device);
        if (linux.IntelRdt?.MemBwSchema is { Length: > 0 } schema && (!schema.StartsWith("MB:", StringComparison.Ordinal) || schema.Contains('\n')))
            throw HullException.Invalid("linux.intelRdt.memBwSchema must be one line that starts with MB:");
        if (linux.RootfsPropagation is not (null or "" or "private" or "rprivate" or "slave" or "rslave" or "shared" or "rshared" or "unbindable" or "runbindable"))
            throw HullException.Invalid($"linux.rootfsPropagation: unknown propagation '{linux.RootfsPropagation}'");
        if (linux.Personality is { } personality && personality.Domain is not ("LINUX" or "LINUX32"))
            throw HullException.Invalid($"linux.personality: unknown domain '{personality.Domain}'");
        if (linux.Personality?.Flags is { Count: > 0 }) throw HullException.Unsupported("linux.personality.flags: no flag is defined");
        foreach (var path in (linux.MaskedPaths ?? []).Concat(linux.ReadonlyPaths ?? []))
        {
            if (!path.StartsWith('/')) throw HullException.Invalid($"linux.maskedPaths and readonlyPaths: '{path}' is not absolute");
        }
    }

    /// <summary>Checks a process, the container's or one for exec.</summary>
    public static void ValidateProcess(ProcessSpec process)
    {
        if (process.Args is not { Count: > 0 } || process.Args[0] is null) throw HullException.Invalid("process.args is missing or empty");
        if (process.Args[0].Length == 0) throw HullException.Invalid("process.args[0] is empty");
        if (string.IsNullOrEmpty(process.Cwd)) throw HullException.Invalid("process.cwd is missing");
        if (!process.Cwd.StartsWith('/')) throw HullException.Invalid($"process.cwd '{process.Cwd}' is not absolute");
        foreach (var text in process.Args.Concat(process.Env ?? []))
        {
            if (text is null || text.Contains('\0')) throw HullException.Invalid("process.args and process.env must be strings without NUL");
        }

        var seen = new HashSet<string>();
        foreach (var limit in process.Rlimits ?? [])
        {
            _ = ResourceLimitTable.Get(limit.Type);
            if (!seen.Add(limit.Type!)) throw HullException.Invalid($"process.rlimits: {limit.Type} is given twice");
            if (limit.Soft > limit.Hard) throw HullException.Invalid($"process.rlimits: {limit.Type} has a soft limit above the hard one");
        }

        if (process.OomScoreAdj is < -1000 or > 1000) throw HullException.Invalid($"process.oomScoreAdj {process.OomScoreAdj} is not between -1000 and 1000");
        if (process.Scheduler is { } scheduler) _ = SchedulingTable.ToAttributes(scheduler);
        if (process.IoPriority is { } priority) _ = SchedulingTable.ToIoPriority(priority);
        if (process.ExecCpuAffinity is { } affinity)
        {
            _ = SchedulingTable.ToCpuMask(affinity.Initial);
            _ = SchedulingTable.ToCpuMask(affinity.Final);
        }
    }

    private static void RequireVersion(string? version)
    {
        var core = version?.Split('-', '+')[0];
        if (core is null || !System.Version.TryParse(core, out var parsed) || parsed.Build < 0)
            throw HullException.Invalid($"ociVersion '{version}' is not a version such as 1.2.0");
        if (parsed.Major != 1) throw HullException.Unsupported($"ociVersion {version}: only versions 1.x of the runtime specification are supported");
    }

    private static void ValidateNamespaces(Spec spec, LinuxSpec linux)
    {
        var seen = new HashSet<string>();
        foreach (var entry in linux.Namespaces ?? [])
        {
            var kind = NamespaceTable.Get(entry.Type);
            if (!seen.Add(kind.Type)) throw HullException.Invalid($"linux.namespaces: {kind.Type} is given twice");
            if (!string.IsNullOrEmpty(entry.Path) && !entry.Path.StartsWith('/'))
                throw HullException.Invalid($"linux.namespaces: the path '{entry.Path}' of {kind.Type} is not absolute");
        }

        var hasUser = seen.Contains("user");
        var hasMappings = linux.UidMappings is { Count: > 0 } || linux.GidMappings is { Count: > 0 };
        if (hasMappings && !hasUser) throw HullException.Invalid("linux.uidMappings and gidMappings need a user namespace");
        if (linux.Creates("user") && (linux.UidMappings is not { Count: > 0 } || linux.GidMappings is not { Count: > 0 }))
            throw HullException.Invalid("a new user namespace needs linux.uidMappings and linux.gidMappings");
        if (!seen.Contains("uts") && (!string.IsNullOrEmpty(spec.Hostname) || !string.IsNullOrEmpty(spec.Domainname)))
            throw HullException.Invalid("hostname and domainname need a uts namespace, or they would change the host's");
        if (linux.TimeOffsets is { Count: > 0 } && !linux.Creates("time"))
            throw HullException.Invalid("linux.timeOffsets needs a new time namespace");
        foreach (var clock in linux.TimeOffsets?.Keys ?? [])
        {
            if (clock is not ("monotonic" or "boottime")) throw HullException.Invalid($"linux.timeOffsets: unknown clock '{clock}'");
        }
    }

    private static void ValidateMount(MountSpec mount, LinuxSpec linux)
    {
        if (string.IsNullOrEmpty(mount.Destination)) throw HullException.Invalid("mounts: a destination is missing");
        if (mount.UidMappings is { Count: > 0 } != mount.GidMappings is { Count: > 0 })
            throw HullException.Invalid($"mounts: {mount.Destination} needs both uidMappings and gidMappings or none");
        var options = MountOptions.Parse(mount.Options);
        if (options.Bind && string.IsNullOrEmpty(mount.Source)) throw HullException.Invalid($"mounts: {mount.Destination} is a bind mount without a source");
        if (!options.Bind && !options.Remount && string.IsNullOrEmpty(mount.Type) && mount.Type != "bind")
            throw HullException.Invalid($"mounts: {mount.Destination} has neither a type nor the option bind");
        if (options.TmpCopyUp && mount.Type != "tmpfs") throw HullException.Invalid($"mounts: {mount.Destination}: tmpcopyup is for tmpfs only");
        if (options.IdMap && mount.UidMappings is not { Count: > 0 } && linux.Find("user") is null)
            throw HullException.Invalid($"mounts: {mount.Destination}: idmap needs mappings or a user namespace");
    }

    private static void ValidateHooks(HooksSpec? hooks)
    {
        if (hooks is null) return;
        foreach (var list in (IReadOnlyList<HookSpec>?[])[hooks.Prestart, hooks.CreateRuntime, hooks.CreateContainer, hooks.StartContainer, hooks.Poststart, hooks.Poststop])
        {
            foreach (var hook in list ?? [])
            {
                if (string.IsNullOrEmpty(hook.Path) || !hook.Path.StartsWith('/')) throw HullException.Invalid($"hooks: the path '{hook.Path}' is not absolute");
                if (hook.Timeout is <= 0) throw HullException.Invalid($"hooks: the timeout of {hook.Path} must be greater than zero");
            }
        }
    }

    /// <summary>A sysctl may only be changed where it belongs to a namespace that the container does not share with the host.</summary>
    private static void ValidateSysctls(LinuxSpec linux)
    {
        foreach (var (key, value) in linux.Sysctl ?? new Dictionary<string, string>())
        {
            var path = SysctlName.ToPath(key);
            if (value is null) throw HullException.Invalid($"linux.sysctl: {key} has no value");
            var needed = SysctlName.NamespaceOf(path)
                ?? throw HullException.Invalid($"linux.sysctl: {key} is not in a namespace of the container, it would change the host");
            if (linux.Find(needed) is null) throw HullException.Invalid($"linux.sysctl: {key} needs a {needed} namespace, or it would change the host");
        }
    }

    private static void ValidateDevice(DeviceSpec device)
    {
        if (string.IsNullOrEmpty(device.Path) || !device.Path.StartsWith('/'))
            throw HullException.Invalid($"linux.devices: the path '{device.Path}' is not absolute");
        if (device.Type is not ("c" or "u" or "b" or "p")) throw HullException.Invalid($"linux.devices: unknown type '{device.Type}' of {device.Path}");
        if (device.Type != "p" && (device.Major is < 0 or > 0xfff || device.Minor is < 0 or > 0xfffff))
            throw HullException.Invalid($"linux.devices: {device.Path} has no device number {device.Major}:{device.Minor}");
    }
}
