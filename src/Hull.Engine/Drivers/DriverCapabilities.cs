using Hull.Core;

namespace Hull.Engine.Drivers;

/// <summary>What an <see cref="IInstanceDriver"/> may or may not be able to do. Everything else is required of every driver.</summary>
public enum InstanceCapability
{
    /// <summary>Freeze and thaw every process of an instance.</summary>
    Pause,

    /// <summary>Change resource limits of a running instance.</summary>
    UpdateResources,

    /// <summary>List the processes inside.</summary>
    Top,

    /// <summary>Read the root file system of a running instance.</summary>
    LiveRootAccess,

    /// <summary>Join the network namespace of another instance.</summary>
    SharedNetwork,

    /// <summary>Join the pid or ipc namespace of another instance, or of the host.</summary>
    SharedNamespaces,

    /// <summary>The network namespace of the host itself.</summary>
    HostNetwork,

    /// <summary>Attach and detach networks while running.</summary>
    NetworkHotPlug,

    /// <summary>Directories of the host appear inside and changes are seen on both sides.</summary>
    BindMounts,

    /// <summary>Devices of the host appear inside.</summary>
    Devices,

    /// <summary>Full access to the host (<c>--privileged</c>).</summary>
    Privileged,

    /// <summary>Per-instance user namespaces.</summary>
    UserNamespaces,

    /// <summary>A saved state of memory and disk that the instance can go back to.</summary>
    Snapshot,

    /// <summary>Duplicate a running instance, memory included.</summary>
    Fork,

    /// <summary>Add processors or memory beyond what it was started with.</summary>
    HotAdd,

    /// <summary>A console screen beside the standard streams.</summary>
    Console,
}

/// <summary>Whether something can be done; when it cannot, why.</summary>
public readonly record struct CapabilityStatus(bool Supported, string? Reason)
{
    public static CapabilityStatus Yes { get; } = new(true, null);

    public static CapabilityStatus No(string reason) => new(false, reason);
}

/// <summary>
/// The honest list of what a driver can do on this machine. Callers ask before they act; a method that is called
/// all the same answers <see cref="ErrorKind.Unsupported"/> with the same reason.
/// </summary>
public sealed class DriverCapabilities(string driver, IReadOnlyDictionary<InstanceCapability, CapabilityStatus> status)
{
    /// <summary>The status of a capability; one the driver does not list is not supported.</summary>
    public CapabilityStatus this[InstanceCapability capability] =>
        status.TryGetValue(capability, out var found)
            ? found
            : CapabilityStatus.No($"the {driver} driver does not know {capability}");

    public IReadOnlyDictionary<InstanceCapability, CapabilityStatus> All => status;

    public bool Has(InstanceCapability capability) => this[capability].Supported;

    /// <summary>Throws <see cref="ErrorKind.Unsupported"/> with the driver's reason unless the capability is there.</summary>
    public void Demand(InstanceCapability capability, string what)
    {
        var found = this[capability];
        if (!found.Supported) throw HullException.Unsupported($"{what} is not supported by isolation '{driver}': {found.Reason}");
    }
}
