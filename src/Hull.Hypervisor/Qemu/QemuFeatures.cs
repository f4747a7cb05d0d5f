namespace Hull.Hypervisor.Qemu;

/// <summary>What this QEMU with this accelerator can do, with the reasons for what it cannot.</summary>
internal static class QemuFeatures
{
    public static HypervisorCapabilities Of(QemuInstallation installation, AcceleratorChoice accelerator)
    {
        var emulated = accelerator.Name == "tcg";
        var x86 = installation.Architecture == "amd64";
        var features = new Dictionary<HypervisorFeature, FeatureSupport>
        {
            [HypervisorFeature.HardwareAcceleration] = emulated ? FeatureSupport.No(accelerator.Reason) : FeatureSupport.Yes,
            [HypervisorFeature.SavedState] = FeatureSupport.Yes,
            [HypervisorFeature.Templates] = x86 ? FeatureSupport.Yes : FeatureSupport.No("templates are made for amd64 guests"),
            // QEMU before 9.0 loses track of pages that emulated processors write during migration, and the guest dies.
            [HypervisorFeature.PrecopyMigration] = emulated && !installation.Version.AtLeast(9)
                ? FeatureSupport.No($"pre-copy under emulation corrupts guests with qemu before 9.0, this is {installation.Version}")
                : FeatureSupport.Yes,
            [HypervisorFeature.PostcopyMigration] = FeatureSupport.Yes,
            [HypervisorFeature.BackgroundSnapshot] =
                FeatureSupport.No("it needs userfaultfd, which the jail of the monitor does not allow"),
            [HypervisorFeature.HotplugProcessor] = x86 ? FeatureSupport.Yes : FeatureSupport.No("only for amd64 guests"),
            [HypervisorFeature.HotplugMemory] = x86 ? FeatureSupport.Yes : FeatureSupport.No("only for amd64 guests"),
            [HypervisorFeature.HotplugDisk] = FeatureSupport.Yes,
            [HypervisorFeature.HotplugNic] = FeatureSupport.Yes,
            [HypervisorFeature.ExchangeDisk] = FeatureSupport.Yes,
            [HypervisorFeature.DirtyBitmaps] = FeatureSupport.Yes,
            [HypervisorFeature.Screenshot] = FeatureSupport.Yes,
            [HypervisorFeature.SharedDirectories] =
                FeatureSupport.No("no virtio-fs daemon is set up; directories are given to machines as volumes"),
            [HypervisorFeature.TrustedPlatformModule] = Exists("/usr/bin/swtpm")
                ? FeatureSupport.Yes
                : FeatureSupport.No("swtpm is not installed"),
            [HypervisorFeature.UefiFirmware] = UefiFirmware.Find(installation.Architecture) is not null
                ? FeatureSupport.Yes
                : FeatureSupport.No($"the package {(x86 ? "ovmf" : "qemu-efi-aarch64")} is not installed"),
        };
        return new HypervisorCapabilities($"qemu {installation.Version}", accelerator.Name, accelerator.Reason, features);
    }

    private static bool Exists(string path) => File.Exists(path);
}
