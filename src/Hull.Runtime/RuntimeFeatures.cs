using Hull.Linux.Seccomp;
using Hull.Oci.Runtime;
using Hull.Runtime.Checkpoints;
using Hull.Runtime.Resources;
using Hull.Runtime.Setup;
using Hull.Runtime.Specs;

namespace Hull.Runtime;

/// <summary>What this runtime implements (features.md), from the tables it works with.</summary>
public static class RuntimeFeatures
{
    public static Features Describe() => new()
    {
        // The name is runc's, which engines know.
        Annotations = new Dictionary<string, string> { ["org.opencontainers.runc.checkpoint.enabled"] = CriuService.IsInstalled() ? "true" : "false" },
        OciVersionMin = "1.0.0",
        OciVersionMax = "1.2.0",
        Hooks = ["prestart", "createRuntime", "createContainer", "startContainer", "poststart", "poststop"],
        MountOptions = [.. MountOptions.Names.Order(StringComparer.Ordinal)],
        Linux = new LinuxFeatures
        {
            Namespaces = [.. NamespaceTable.All.Select(kind => kind.Type).Order(StringComparer.Ordinal)],
            Capabilities = CapabilityTable.Names,
            Cgroup = new CgroupFeatures { V1 = true, V2 = true, Systemd = true, SystemdUser = true, Rdma = true },
            Seccomp = new SeccompFeatures
            {
                Enabled = true,
                Actions = SeccompTranslation.ActionNames,
                Operators = SeccompTranslation.OperatorNames,
                KnownFlags = SeccompFilter.KnownFlags,
            },
            Apparmor = new EnabledFeature { Enabled = SecurityLabels.ApparmorEnabled },
            Selinux = new EnabledFeature { Enabled = SecurityLabels.SelinuxEnabled },
            IntelRdt = new EnabledFeature { Enabled = true },
            MountExtensions = new MountExtensionFeatures { Idmap = new EnabledFeature { Enabled = true } },
        },
    };
}
