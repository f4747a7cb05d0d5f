namespace Hull.Hypervisor;

/// <summary>Something a hypervisor may or may not be able to do.</summary>
public enum HypervisorFeature
{
    /// <summary>Guests run on the processor's virtualization rather than in emulation.</summary>
    HardwareAcceleration,

    /// <summary>State can be saved and loaded.</summary>
    SavedState,

    /// <summary>Machines can begin from the shared, private-mapped RAM of a template.</summary>
    Templates,

    /// <summary>State is sent while the guest goes on writing memory, pre-copy.</summary>
    PrecopyMigration,

    /// <summary>Memory is fetched after the guest moved.</summary>
    PostcopyMigration,

    /// <summary>A snapshot of memory is written while the guest runs on.</summary>
    BackgroundSnapshot,

    HotplugProcessor,
    HotplugMemory,
    HotplugDisk,
    HotplugNic,
    ExchangeDisk,
    DirtyBitmaps,
    Screenshot,
    SharedDirectories,
    TrustedPlatformModule,
    UefiFirmware,
}

/// <summary>The answer to whether a feature is there, and why not.</summary>
public sealed record FeatureSupport(bool Supported, string? Reason)
{
    public static FeatureSupport Yes { get; } = new(true, null);

    public static FeatureSupport No(string reason) => new(false, reason);
}

/// <summary>What a hypervisor is and can do on this machine.</summary>
/// <param name="Name">Program and version, such as <c>qemu 7.2.22</c>.</param>
/// <param name="Accelerator"><c>kvm</c> or <c>tcg</c>.</param>
/// <param name="AcceleratorReason">Why this accelerator was chosen, in words for <c>hull info</c>.</param>
public sealed record HypervisorCapabilities(string Name, string Accelerator, string AcceleratorReason,
    IReadOnlyDictionary<HypervisorFeature, FeatureSupport> Features)
{
    public FeatureSupport this[HypervisorFeature feature] =>
        Features.TryGetValue(feature, out var support) ? support : FeatureSupport.No("not known to this hypervisor");

    /// <summary>Throws <see cref="ErrorKind.Unsupported"/> with the reason where the feature is missing.</summary>
    public void Demand(HypervisorFeature feature)
    {
        var support = this[feature];
        if (!support.Supported) throw HullException.Unsupported($"{Name} cannot do this here: {support.Reason}");
    }
}
