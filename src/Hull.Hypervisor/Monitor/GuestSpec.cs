using System.Text.Json;
using Hull.Agent.Protocol;
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

    /// <param name="Spec">For the guest.</param>
    /// <param name="Files">Contents of the files that were bind mounts of the host's.</param>
    public sealed record Translation(Spec Spec, IReadOnlyList<InjectedFile> Files);

    public static Translation Translate(Spec spec, string id, bool hasNetwork)
    {
        var files = new List<InjectedFile>();
        var mounts = new List<MountSpec>();
        foreach (var mount in spec.Mounts ?? []) mounts.Add(TranslateMount(mount, id, files));
        var linux = spec.Linux ?? new LinuxSpec();
        var namespaces = (linux.Namespaces ?? []).Where(entry => KeepNamespace(entry, hasNetwork))
            .Select(entry => new NamespaceSpec { Type = entry.Type }).ToList();
        return new Translation(spec with
        {
            Root = new RootSpec { Path = "rootfs", Readonly = spec.Root?.Readonly ?? false },
            Mounts = mounts,
            // Hooks are programs of the host.
            Hooks = null,
            Process = spec.Process is null ? null : spec.Process with { ApparmorProfile = null, SelinuxLabel = null },
            Linux = linux with
            {
                CgroupsPath = "/hull/" + id,
                Namespaces = namespaces,
                // The machine's kernel is the tenant's own: filters that defend a shared one only cost start time.
                Seccomp = null,
                UidMappings = null,
                GidMappings = null,
                MountLabel = null,
                IntelRdt = null,
                Resources = TranslateResources(linux.Resources),
            },
        }, files);
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

    /// <summary>Processor time and devices are limited outside, where the guest cannot change it; memory and pids inside.</summary>
    private static ResourcesSpec? TranslateResources(ResourcesSpec? resources) => resources is null
        ? null
        : new ResourcesSpec { Memory = resources.Memory, Pids = resources.Pids };

    private static MountSpec TranslateMount(MountSpec mount, string id, List<InjectedFile> files)
    {
        var isBind = mount.Type is "bind" or "none" or null or "" ||
            (mount.Options ?? []).Any(option => option is "bind" or "rbind");
        if (!isBind) return mount;
        var source = mount.Source ?? "";
        var info = new FileInfo(source);
        if (!info.Exists)
        {
            throw HullException.Unsupported(
                $"cannot mount {source} at {mount.Destination} in a virtual machine: only files up to {MaximumInjectedBytes} bytes can be shared from the host");
        }

        if (info.Length > MaximumInjectedBytes)
            throw HullException.Unsupported($"cannot mount {source} in a virtual machine: it has more than {MaximumInjectedBytes} bytes");
        var target = $"/run/containers/{id}/files/{files.Count}";
        var readOnly = (mount.Options ?? []).Contains("ro");
        files.Add(new InjectedFile(target, AtomicFile.Read(source, (int)MaximumInjectedBytes), (uint)info.UnixFileMode, readOnly));
        // Propagation is between mounts of one kernel, and this source is no mount of the guest's.
        return mount with { Source = target, Options = [.. (mount.Options ?? []).Where(option => !option.EndsWith("shared") && !option.EndsWith("slave"))] };
    }
}
