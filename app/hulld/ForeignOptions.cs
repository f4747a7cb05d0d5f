using System.Text.Json;
using Hull.Core;
using Hull.Core.CommandLine;

namespace Hull.Daemon;

/// <summary>
/// Options of dockerd that have no meaning here. A value that changes nothing is accepted, so that files and units written
/// for dockerd go on working; any other is refused with the reason, because whoever wrote it counts on it.
/// </summary>
internal static class ForeignOptions
{
    private const string NoContainerd = "there is no containerd here: hull-shim supervises containers, and the image store is Hull's own";
    private const string NoSwarm = "there is no cluster here: many machines are Kubernetes'";
    private const string NoRealTime = "the engine sets no real-time budget on the cgroup above its own: give it to the workload by --cpu-rt-runtime";

    private static readonly ForeignOption[] s_all =
    [
        new("allow-direct-routing", "containers are reached by published ports: route their networks without masquerading (ip-masq, or a network's enable_ip_masquerade=false)") { IsSwitch = true, Harmless = ["false"] },
        new("allow-nondistributable-artifacts", "foreign layers are fetched from where they say and never pushed"),
        new("api-cors-header", "the engine answers no browsers of other origins"),
        new("authorization-plugins", "there are no plug-ins: say who may do what by 'access'") { Flag = "authorization-plugin" },
        new("builder", "nothing is built here yet") { Harmless = ["{}"] },
        new("cdi-spec-dirs", "devices are given by path (--device), not by CDI") { Flag = "cdi-spec-dir" },
        new("containerd", NoContainerd),
        new("containerd-namespace", NoContainerd) { Harmless = ["moby"] },
        new("containerd-plugins-namespace", NoContainerd) { Harmless = ["plugins.moby"] },
        new("cri-containerd", NoContainerd) { IsSwitch = true, Harmless = ["false"] },
        new("cpu-rt-period", NoRealTime) { Harmless = ["0"] },
        new("cpu-rt-runtime", NoRealTime) { Harmless = ["0"] },
        new("default-network-opts", "networks take options when they are made: give them to network create") { Flag = "default-network-opt", Harmless = ["{}"] },
        new("firewall-backend", "Hull's firewall is one nftables table") { Harmless = ["nftables"] },
        new("host-gateway-ips", "host-gateway stands for one address: use host-gateway-ip"),
        new("ip-forward-no-drop", "Hull never changes the policy of the host's forward chain") { IsSwitch = true, Harmless = ["true"] },
        new("network-control-plane-mtu", NoSwarm) { Harmless = ["0", "1500"] },
        new("network-diagnostic-port", NoSwarm) { Harmless = ["0"] },
        new("node-generic-resources", NoSwarm) { Flag = "node-generic-resource" },
        new("rootless", "the engine runs as root; its containers need not: see userns-remap") { IsSwitch = true, Harmless = ["false"] },
        new("selinux-enabled", "the engine gives workloads no SELinux labels") { IsSwitch = true, Harmless = ["false"] },
        new("storage-opts", "the snapshots of Hull take no options") { Flag = "storage-opt" },
        new("swarm-default-advertise-addr", NoSwarm),
        new("userland-proxy-path", "ports are published without processes"),
    ];

    /// <summary>Names of the file's keys.</summary>
    public static IEnumerable<string> Keys => s_all.Select(option => option.Key);

    /// <summary>Takes their flags; they are not in the help.</summary>
    public static void AddTo(FlagSet flags)
    {
        foreach (var option in s_all)
            flags.Add(new Flag(option.Flag ?? option.Key, null, option.IsSwitch ? null : "value", option.Reason, value => Check(option, value)) { Hidden = true });
    }

    /// <summary>
    /// The members of a file that the configuration does not have. Throws <see cref="ErrorKind.Unsupported"/> for a value that
    /// would have to do something, and <see cref="ErrorKind.InvalidArgument"/> for a key that dockerd does not have either.
    /// </summary>
    public static void Check(IReadOnlyDictionary<string, JsonElement> members, string file)
    {
        foreach (var (key, value) in members)
        {
            var option = s_all.FirstOrDefault(option => option.Key == key)
                ?? throw HullException.Invalid($"configuration file {file} has an unknown key '{key}': docs/CONFIGURATION.md lists those there are");
            foreach (var text in Texts(value)) Check(option, text);
        }
    }

    private static void Check(ForeignOption option, string value)
    {
        if (value.Length > 0 && !option.Harmless.Contains(value, StringComparer.OrdinalIgnoreCase))
            throw HullException.Unsupported($"{option.Key}: '{value}' is not supported: {option.Reason}");
    }

    private static IEnumerable<string> Texts(JsonElement value) => value.ValueKind switch
    {
        JsonValueKind.Array => value.EnumerateArray().SelectMany(Texts),
        JsonValueKind.String => [value.GetString()!],
        JsonValueKind.Null => [],
        JsonValueKind.Object when !value.EnumerateObject().Any() => ["{}"],
        _ => [value.GetRawText()],
    };
}

/// <param name="Key">Name in the file.</param>
/// <param name="Reason">Why there is none of it here, and the way out.</param>
internal sealed record ForeignOption(string Key, string Reason)
{
    /// <summary>Name on the command line, where it is another.</summary>
    public string? Flag { get; init; }

    public bool IsSwitch { get; init; }

    /// <summary>Values that ask for what is so anyway; empty ones always do.</summary>
    public IReadOnlyList<string> Harmless { get; init; } = [];
}
