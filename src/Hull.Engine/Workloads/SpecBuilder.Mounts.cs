using System.Globalization;
using Hull.Core;
using Hull.Engine.Drivers;
using Hull.Linux;
using Hull.Linux.Abi;
using Hull.Linux.Files;
using Hull.Linux.Syscalls;
using Hull.Oci.Runtime;
using Hull.Runtime.Setup;

namespace Hull.Engine.Workloads;

/// <summary>Mounts, devices and what the device controller allows.</summary>
internal static partial class SpecBuilder
{
    private static List<MountSpec> BuildMounts(StartContext context)
    {
        var config = context.Record.Config;
        var privileged = config.Security.Privileged;
        var mounts = new List<MountSpec>
        {
            Mount("/proc", "proc", "proc", "nosuid", "noexec", "nodev"),
            Mount("/dev", "tmpfs", "tmpfs", "nosuid", "strictatime", "mode=755", "size=65536k"),
            Mount("/dev/pts", "devpts", "devpts", "nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620", "gid=5"),
            Mount("/sys", "sysfs", "sysfs", "nosuid", "noexec", "nodev", privileged ? "rw" : "ro"),
            Mount("/sys/fs/cgroup", "cgroup", "cgroup", "nosuid", "noexec", "nodev", "relatime", privileged ? "rw" : "ro"),
            Mount("/dev/mqueue", "mqueue", "mqueue", "nosuid", "noexec", "nodev"),
        };
        if (context.Record.UserMap is { } map) FitUserNamespace(mounts, config, map);
        if (config.Namespaces.Pid == "host") mounts[0] = Mount("/proc", "bind", "/proc", "rbind", "nosuid", "noexec", "nodev");
        // A sysfs shows the network namespace of whoever mounts it; with the host's network it must be the host's own.
        if (context.HostNetwork) mounts[3] = Mount("/sys", "sysfs", "sysfs", "nosuid", "noexec", "nodev", privileged ? "rw" : "ro");
        AddSharedMemory(mounts, context);
        AddFile(mounts, context, "/etc/resolv.conf", context.ResolvConfPath);
        AddFile(mounts, context, "/etc/hostname", context.HostnamePath);
        AddFile(mounts, context, "/etc/hosts", context.HostsPath);
        if (context.InitProgram is not null) mounts.Add(Mount(InitTarget, "bind", context.InitProgram, "bind", "ro"));
        // Parents before what is mounted in them, whatever order the user wrote.
        // Images are mounted into the root by the driver.
        foreach (var mount in context.Mounts.Where(mount => mount.Type != "image").OrderBy(mount => mount.Target.Count(c => c == '/')).ThenBy(mount => mount.Target, StringComparer.Ordinal))
        {
            mounts.RemoveAll(other => other.Destination == mount.Target);
            mounts.Add(UserMount(context, mount));
        }

        return mounts;
    }

    /// <summary>What root of a user namespace may not do as the host's may.</summary>
    private static void FitUserNamespace(List<MountSpec> mounts, WorkloadConfig config, Users.UserMap map)
    {
        // The group of terminals has to exist inside.
        if (UserNamespaces.ToHost(map.Groups, 5) is null)
            mounts[2] = mounts[2] with { Options = [.. mounts[2].Options!.Where(option => option != "gid=5")] };
        // Message queues are mounted by the owner of their namespace alone.
        if (config.Namespaces.Ipc != "host") return;
        mounts.RemoveAt(5);
        if (Directory.Exists("/dev/mqueue")) mounts.Add(Mount("/dev/mqueue", "bind", "/dev/mqueue", "bind", "nosuid", "noexec", "nodev"));
    }

    private static MountSpec Mount(string destination, string type, string source, params string[] options) =>
        new() { Destination = destination, Type = type, Source = source, Options = options };

    private static void AddSharedMemory(List<MountSpec> mounts, StartContext context)
    {
        var config = context.Record.Config;
        if (context.SharedMemory is { } shared) mounts.Add(Mount("/dev/shm", "bind", shared, "rbind", "nosuid", "noexec", "nodev"));
        else if (config.Namespaces.Ipc == "host") mounts.Add(Mount("/dev/shm", "bind", "/dev/shm", "rbind"));
        else if (config.Namespaces.Ipc != "none")
        {
            var size = config.ShmSize ?? context.Options.DefaultShmSize;
            mounts.Add(Mount("/dev/shm", "tmpfs", "shm", "nosuid", "noexec", "nodev", "mode=1777", "size=" + size.ToString(CultureInfo.InvariantCulture)));
        }
    }

    private static void AddFile(List<MountSpec> mounts, StartContext context, string target, string? source)
    {
        if (source is null) return;
        mounts.Add(Mount(target, "bind", source, "rbind", "rprivate", context.Record.Config.Security.ReadOnlyRoot ? "ro" : "rw"));
    }

    private static MountSpec UserMount(StartContext context, MountPoint mount)
    {
        var asked = context.Record.Config.Mounts.FirstOrDefault(wanted => wanted.Target == mount.Target);
        if (mount.Type == "tmpfs") return Tmpfs(mount, asked);
        var options = new List<string> { asked?.NonRecursive == true ? "bind" : "rbind" };
        options.Add(mount.Propagation.Length > 0 ? mount.Propagation : "rprivate");
        if (mount.ReadOnly) options.Add("ro");
        if (mount.ReadOnly && asked?.RecursiveReadOnly == true) options.Add("rro");
        var made = new MountSpec { Destination = mount.Target, Type = "bind", Source = mount.Source, Options = options };
        // A volume has the owners that containers see, so that each sees the same, whatever its range of ids. What the user
        // binds is the host's, and shows the host's owners.
        return mount.Name.Length > 0 && context.Record.UserMap is { } map ? made with { UidMappings = map.Users, GidMappings = map.Groups } : made;
    }

    private static MountSpec Tmpfs(MountPoint mount, MountConfig? asked)
    {
        var options = new List<string> { "nosuid", "nodev", "noexec" };
        foreach (var option in asked?.Options ?? [])
        {
            // What the user says wins over the careful default: "exec" takes "noexec" away.
            options.Remove("no" + option);
            options.Add(option);
        }

        if (asked?.TmpfsSize is { } size) options.Add("size=" + size.ToString(CultureInfo.InvariantCulture));
        if (asked?.TmpfsMode is { } mode) options.Add("mode=" + Convert.ToString(mode, 8));
        if (mount.ReadOnly) options.Add("ro");
        return new MountSpec { Destination = mount.Target, Type = "tmpfs", Source = "tmpfs", Options = options };
    }

    private static List<DeviceSpec>? BuildDevices(WorkloadConfig config)
    {
        var devices = new List<DeviceSpec>();
        if (config.Security.Privileged) devices.AddRange(HostDevices.All());
        foreach (var device in config.Devices)
        {
            var found = HostDevices.Find(device.HostPath, device.ContainerPath.Length > 0 ? device.ContainerPath : device.HostPath);
            if (found.Count == 0) throw HullException.Invalid($"{device.HostPath} is not a device node of this machine");
            foreach (var one in found)
            {
                devices.RemoveAll(other => other.Path == one.Path);
                devices.Add(one);
            }
        }

        return devices.Count == 0 ? null : devices;
    }

    private static ResourcesSpec BuildResources(WorkloadConfig config)
    {
        var rules = new List<DeviceCgroupSpec>();
        if (config.Security.Privileged) rules.Add(new DeviceCgroupSpec { Allow = true, Type = "a", Access = "rwm" });
        else
        {
            rules.Add(new DeviceCgroupSpec { Allow = false, Access = "rwm" });
            rules.AddRange(DefaultDeviceRules());
            foreach (var device in config.Devices)
            {
                foreach (var found in HostDevices.Find(device.HostPath, device.ContainerPath))
                    rules.Add(new DeviceCgroupSpec { Allow = true, Type = found.Type, Major = found.Major, Minor = found.Minor, Access = device.Permissions });
            }

            foreach (var rule in config.DeviceRules) rules.Add(ParseRule(rule));
        }

        var resources = LimitTranslation.ToSpec(config.Resources);
        var memory = config.OomKillDisable ? (resources.Memory ?? new MemorySpec()) with { DisableOOMKiller = true } : resources.Memory;
        return resources with { Devices = rules, Memory = memory };
    }

    /// <summary>Making any node, and using null, zero, full, random, urandom, tty, console, ptmx and ptys.</summary>
    private static IEnumerable<DeviceCgroupSpec> DefaultDeviceRules()
    {
        yield return new DeviceCgroupSpec { Allow = true, Type = "c", Access = "m" };
        yield return new DeviceCgroupSpec { Allow = true, Type = "b", Access = "m" };
        foreach (var (major, minor) in ((long, long?)[])[(1, 3), (1, 5), (1, 7), (1, 8), (1, 9), (5, 0), (5, 1), (5, 2), (136, null)])
            yield return new DeviceCgroupSpec { Allow = true, Type = "c", Major = major, Minor = minor, Access = "rwm" };
    }

    /// <summary>A rule such as <c>c 42:* rmw</c>.</summary>
    private static DeviceCgroupSpec ParseRule(string rule)
    {
        var parts = rule.Split(' ', StringSplitOptions.RemoveEmptyEntries);
        var numbers = parts.Length == 3 ? parts[1].Split(':') : [];
        if (numbers.Length != 2 || parts[0] is not ("a" or "b" or "c") || parts[2].Any(c => !"rwm".Contains(c)))
            throw HullException.Invalid($"invalid device rule '{rule}': expected TYPE MAJOR:MINOR ACCESS, such as c 42:* rmw");
        return new DeviceCgroupSpec { Allow = true, Type = parts[0], Major = Number(numbers[0]), Minor = Number(numbers[1]), Access = parts[2] };

        long? Number(string text) => text == "*" ? null
            : long.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out var number) ? number
            : throw HullException.Invalid($"invalid device rule '{rule}': '{text}' is no device number");
    }
}

/// <summary>Device nodes of the host.</summary>
internal static class HostDevices
{
    /// <summary>The device at a path, or all below a directory, as they are to appear inside.</summary>
    public static List<DeviceSpec> Find(string path, string target)
    {
        if (!path.StartsWith('/')) throw HullException.Invalid($"device '{path}' must be an absolute path");
        var found = new List<DeviceSpec>();
        Add(found, path, target, 0);
        return found;
    }

    /// <summary>Everything in /dev, for privileged workloads; terminals and what a container mounts itself are left out.</summary>
    public static List<DeviceSpec> All()
    {
        var found = new List<DeviceSpec>();
        foreach (var path in Directory.EnumerateFileSystemEntries("/dev"))
        {
            if (Path.GetFileName(path) is "pts" or "shm" or "fd" or "mqueue" or "console" or ".udev" or ".lxc" or ".lxd-mounts") continue;
            Add(found, path, path, 0);
        }

        return found;
    }

    private static void Add(List<DeviceSpec> found, string path, string target, int depth)
    {
        var opened = FileCalls.OpenAt(Fcntl.AT_FDCWD, path, Fcntl.O_PATH | (depth == 0 ? 0 : Fcntl.O_NOFOLLOW));
        if (opened < 0) return;
        using var handle = new SafeFd((int)opened);
        var status = handle.Stat();
        if (status.Kind == FileKind.Directory && depth < 4)
        {
            foreach (var child in Directory.EnumerateFileSystemEntries(path)) Add(found, child, target + "/" + Path.GetFileName(child), depth + 1);
        }

        if (status.Kind is not (FileKind.BlockDevice or FileKind.CharacterDevice)) return;
        found.Add(new DeviceSpec
        {
            Path = target,
            Type = status.Kind == FileKind.BlockDevice ? "b" : "c",
            Major = status.Represents.Major,
            Minor = status.Represents.Minor,
            FileMode = status.Mode,
            Uid = status.User,
            Gid = status.Group,
        });
    }
}
