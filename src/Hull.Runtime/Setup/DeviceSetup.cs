using Hull.Core;
using Hull.Linux;
using Hull.Linux.Abi;
using Hull.Linux.Children;
using Hull.Linux.Files;
using Hull.Linux.Mounts;
using Hull.Linux.Syscalls;
using Hull.Oci.Runtime;
using Hull.Runtime.Specs;
using static Hull.Linux.Abi.Fcntl;
using static Hull.Linux.Abi.StatMode;

namespace Hull.Runtime.Setup;

/// <summary>Device nodes and links in /dev (config-linux.md, "Default Devices" and "Devices").</summary>
internal static class DeviceSetup
{
    private static readonly (string Path, uint Major, uint Minor)[] s_defaults =
    [
        ("/dev/null", 1, 3), ("/dev/zero", 1, 5), ("/dev/full", 1, 7), ("/dev/random", 1, 8), ("/dev/urandom", 1, 9), ("/dev/tty", 5, 0),
    ];

    private static readonly (string Name, string Target)[] s_links =
    [
        ("fd", "/proc/self/fd"), ("stdin", "/proc/self/fd/0"), ("stdout", "/proc/self/fd/1"), ("stderr", "/proc/self/fd/2"),
    ];

    internal static void Add(SetupContext context)
    {
        // A /dev that comes from the host whole has what it needs, and must not be changed.
        if (context.Spec.Mounts?.Any(mount => PathName.Clean(mount.Destination!) == "/dev" && (mount.Type == "bind" || MountOptions.Parse(mount.Options).Bind)) == true) return;
        foreach (var device in Devices(context)) AddDevice(context, device);
        AddLinks(context);
    }

    /// <summary>The defaults unless the spec has one of the same path, then the spec's own.</summary>
    internal static IEnumerable<DeviceSpec> Devices(SetupContext context)
    {
        var own = context.Linux.Devices ?? [];
        foreach (var (path, major, minor) in s_defaults)
        {
            if (!own.Any(device => device.Path == path)) yield return new DeviceSpec { Path = path, Type = "c", Major = major, Minor = minor, FileMode = 0x1B6 };
        }

        foreach (var device in own) yield return device;
    }

    private static void AddDevice(SetupContext context, DeviceSpec device)
    {
        var path = PathName.Clean(device.Path!);
        if (path == "/dev/ptmx") return;
        if (context.HasUserNamespace || context.Rootless) AddByBind(context, device, path);
        else AddNode(context, device, path);
    }

    private static void AddNode(SetupContext context, DeviceSpec device, string path)
    {
        var program = context.Program;
        var (directory, name) = PathName.SplitLast(path);
        MountTargets.Ensure(context, directory, directory: true);
        var (exists, made) = (new Label(), new Label());
        var mode = (device.FileMode ?? 0x1B6) & 0xFFF;
        var number = device.Type == "p" ? 0 : FileCalls.MakeDevice((uint)device.Major, (uint)device.Minor);
        program.MknodAt(context.Target, name, mode | TypeBits(device.Type!), number).OnFailure(exists, Errno.EEXIST);
        if ((device.Uid ?? 0) != 0 || (device.Gid ?? 0) != 0)
            program.FchownAt(context.Target, name, device.Uid ?? 0, device.Gid ?? 0, AT_SYMLINK_NOFOLLOW);
        program.Jump(made);
        program.Mark(exists);
        // The image brought something of this name: it is only accepted if it is just this device (CVE-2025-31133).
        program.OpenAt2(context.Scratch, context.Target, name, O_PATH | O_NOFOLLOW, Resolve.RESOLVE_BENEATH | Resolve.RESOLVE_NO_SYMLINKS, path);
        program.ExpectNode(context.Scratch, TypeBits(device.Type!), (uint)device.Major, (uint)device.Minor, $"{path}, which the image has as something else");
        program.Close(context.Scratch);
        program.Mark(made);
        program.Close(context.Target);
    }

    /// <summary>In a user namespace no device can be made; the host's is mounted instead.</summary>
    private static void AddByBind(SetupContext context, DeviceSpec device, string path)
    {
        var result = FileCalls.OpenAt(AT_FDCWD, device.Path!, O_PATH | O_NOFOLLOW);
        using var source = Check.Descriptor(result, $"open the host's {device.Path}");
        var status = source.Stat();
        if (device.Type != "p" && status.Represents != ((uint)device.Major, (uint)device.Minor))
            throw HullException.Invalid($"linux.devices: {device.Path} on the host is not the device {device.Major}:{device.Minor}, and in a user namespace none can be made");
        var clone = MountCloner.Clone(context, source, device.Path!, recursive: false, context.Mount, out _,
            (new MountAttr { propagation = MountFlags.MS_PRIVATE }, false));
        MountTargets.Ensure(context, path, directory: false);
        context.Program.MoveMount(clone, context.Target, path);
        context.Program.Close(context.Target);
    }

    private static void AddLinks(SetupContext context)
    {
        var program = context.Program;
        MountTargets.Ensure(context, "/dev", directory: true, strict: true);
        foreach (var (name, target) in s_links) program.SymlinkAt(target, context.Target, name).Ignore(Errno.EEXIST);
        if (context.Spec.Mounts?.Any(mount => PathName.Clean(mount.Destination!) == "/dev/ptmx") != true)
        {
            program.UnlinkAt(context.Target, "ptmx").Ignore(Errno.ENOENT);
            program.SymlinkAt("pts/ptmx", context.Target, "ptmx");
        }

        program.Close(context.Target);
    }

    private static uint TypeBits(string type) => type switch
    {
        "b" => S_IFBLK,
        "p" => S_IFIFO,
        _ => S_IFCHR,
    };
}
