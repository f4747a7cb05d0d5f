using System.Text.Json;
using Hull.Agent.Protocol;
using Hull.Hypervisor.Sandboxes;
using Hull.Linux.Files;
using Hull.Oci.Runtime;

namespace Hull.Hypervisor.Monitor;

/// <summary>
/// Turns the spec of a bundle into the one that the agent runs inside the machine: the same process in the same mounts,
/// without what only has a meaning on the host.
/// </summary>
internal static class GuestSpec
{
    /// <summary>Bind mounts of single files travel into the guest; larger ones are not configuration.</summary>
    private const long MaximumInjectedBytes = 1 << 20;

    /// <summary>Where the guest mounts files that it shares with the host.</summary>
    public const string SharesDirectory = "/run/shares";

    /// <param name="Spec">For the guest.</param>
    /// <param name="Files">Contents of the files that were bind mounts of the host's.</param>
    public sealed record Translation(Spec Spec, IReadOnlyList<InjectedFile> Files);

    /// <summary>The mounts whose files are shared, in the order in which <see cref="Translate"/> numbers them.</summary>
    public static IReadOnlyList<HostShare> SharesOf(Spec spec, IReadOnlyList<string> shared) =>
    [
        .. (spec.Mounts ?? []).Where(mount => IsBind(mount) && shared.Contains(mount.Destination))
            .Select(mount => new HostShare(mount.Source ?? "", mount.Options ?? ["rbind"])),
    ];

    /// <param name="shared">Destinations of the bind mounts whose files are shared.</param>
    public static Translation Translate(Spec spec, string id, bool hasNetwork, IReadOnlyList<string> shared)
    {
        var files = new List<InjectedFile>();
        var mounts = new List<MountSpec>();
        var share = 0;
        foreach (var mount in spec.Mounts ?? [])
        {
            mounts.Add(!IsBind(mount) ? mount
                : shared.Contains(mount.Destination) ? WithSource(mount, $"{SharesDirectory}/{share++}")
                : Inject(mount, id, files));
        }

        return new Translation(InGuest(spec, id, hasNetwork, mounts), files);
    }

    /// <summary>The spec of a container of that id, with these mounts, without what only has a meaning on the host.</summary>
    internal static Spec InGuest(Spec spec, string id, bool hasNetwork, IReadOnlyList<MountSpec> mounts)
    {
        var linux = spec.Linux ?? new LinuxSpec();
        return spec with
        {
            Root = new RootSpec { Path = "rootfs", Readonly = spec.Root?.Readonly ?? false },
            Mounts = mounts,
            // Hooks are programs of the host.
            Hooks = null,
            Process = spec.Process is null ? null : spec.Process with { ApparmorProfile = null, SelinuxLabel = null },
            Linux = linux with
            {
                CgroupsPath = "/hull/" + id,
                Namespaces = [.. (linux.Namespaces ?? []).Where(entry => KeepNamespace(entry, hasNetwork)).Select(entry => new NamespaceSpec { Type = entry.Type })],
                // The machine's kernel is the tenant's own: filters that defend a shared one only cost start time.
                Seccomp = null,
                UidMappings = null,
                GidMappings = null,
                MountLabel = null,
                IntelRdt = null,
                Resources = TranslateResources(linux.Resources),
            },
        };
    }

    public static byte[] Serialize(Spec spec) => JsonSerializer.SerializeToUtf8Bytes(spec, RuntimeJson.Default.Spec);

    private static bool KeepNamespace(NamespaceSpec entry, bool hasNetwork) => entry.Type switch
    {
        // The machine is the network namespace; without a NIC the container gets an empty one.
        "network" => !hasNetwork,
        // Ids need no mapping where root is root of nothing but its own machine.
        "user" => false,
        _ => true,
    };

    /// <summary>
    /// Processor time is limited outside, where the guest cannot change it; memory and pids inside. The devices of the machine
    /// are the tenant's own: a program that may use all devices, as a privileged one, may use those.
    /// </summary>
    private static ResourcesSpec? TranslateResources(ResourcesSpec? resources) => resources is null
        ? null
        : new ResourcesSpec
        {
            Memory = resources.Memory,
            Pids = resources.Pids,
            Devices = resources.Devices?.LastOrDefault() is { Allow: true, Type: "a", Major: null, Minor: null } all ? [all] : null,
        };

    internal static bool IsBind(MountSpec mount) =>
        mount.Type is "bind" or "none" or null or "" || (mount.Options ?? []).Any(option => option is "bind" or "rbind");

    private static MountSpec Inject(MountSpec mount, string id, List<InjectedFile> files)
    {
        var source = mount.Source ?? "";
        var info = new FileInfo(source);
        if (!info.Exists || info.Length > MaximumInjectedBytes)
        {
            throw HullException.Unsupported(
                $"cannot give {source} to a virtual machine by copy: it is no file, or has more than {MaximumInjectedBytes} bytes");
        }

        var target = $"/run/containers/{id}/files/{files.Count}";
        files.Add(new InjectedFile(target, AtomicFile.Read(source, (int)MaximumInjectedBytes), (uint)info.UnixFileMode, (mount.Options ?? []).Contains("ro")));
        return WithSource(mount, target);
    }

    /// <summary>Propagation is between mounts of one kernel, and this source is no mount of the guest's.</summary>
    private static MountSpec WithSource(MountSpec mount, string source) =>
        mount with { Source = source, Options = [.. (mount.Options ?? []).Where(option => !option.EndsWith("shared") && !option.EndsWith("slave"))] };
}
