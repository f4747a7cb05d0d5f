using System.Text.Json.Serialization.Metadata;
using Hull.Core;
using Hull.Linux.Files;

namespace Hull.Network;

/// <summary>
/// The documents: <c>networks/ID.json</c> under the state directory, durable; <c>instances/ID.json</c> under the runtime
/// directory, not flushed, because nothing of what they tell survives the machine's end either.
/// </summary>
internal sealed class NetworkStore
{
    private readonly string networks;
    private readonly string instances;
    private readonly string bootId = File.ReadAllText("/proc/sys/kernel/random/boot_id").Trim();

    public NetworkStore(NetworkManagerOptions options)
    {
        networks = Path.Combine(options.StateDirectory, "networks");
        instances = Path.Combine(options.RuntimeDirectory, "instances");
        Sandboxes = Path.Combine(options.RuntimeDirectory, "netns");
        foreach (var directory in new[] { options.StateDirectory, options.RuntimeDirectory, networks, instances, Sandboxes })
            Directory.CreateDirectory(directory, UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute);
    }

    /// <summary>Where the sandboxes' namespaces are bound.</summary>
    public string Sandboxes { get; }

    public void Save(NetworkRecord network) =>
        AtomicFile.WriteJson(Path.Combine(networks, network.Id + ".json"), network, NetworkJson.Default.NetworkRecord);

    public void DeleteNetwork(string id) => AtomicFile.Delete(Path.Combine(networks, id + ".json"));

    public void Save(InstanceNetwork instance) =>
        AtomicFile.WriteJson(InstancePath(instance.InstanceId), new StoredInstance(bootId, instance), NetworkJson.Default.StoredInstance, durable: false);

    public void DeleteInstance(string id) => AtomicFile.Delete(InstancePath(id));

    /// <summary>The networks. A damaged document is put aside, not a reason to refuse to start.</summary>
    public List<NetworkRecord> LoadNetworks(Action<string> log) =>
        [.. Documents(networks).Select(path => Read(path, NetworkJson.Default.NetworkRecord, log)).OfType<NetworkRecord>()];

    /// <summary>The instances of this boot; kernel objects of the others are gone or are cleaned up as strangers.</summary>
    public List<InstanceNetwork> LoadInstances(Action<string> log)
    {
        var found = new List<InstanceNetwork>();
        foreach (var path in Documents(instances))
        {
            if (Read(path, NetworkJson.Default.StoredInstance, log) is not { } stored) continue;
            if (stored.BootId == bootId) found.Add(stored.Network);
            else AtomicFile.Delete(path);
        }

        return found;
    }

    private static List<string> Documents(string directory) =>
        [.. Directory.EnumerateFiles(directory, "*.json").Order(StringComparer.Ordinal)];

    private static T? Read<T>(string path, JsonTypeInfo<T> type, Action<string> log) where T : class
    {
        try
        {
            return AtomicFile.ReadJson(path, type);
        }
        catch (HullException error) when (error.Kind == ErrorKind.DataCorrupted)
        {
            log($"{error.FullMessage}: put aside as {Path.GetFileName(path)}.damaged");
            File.Move(path, path + ".damaged", overwrite: true);
            return null;
        }
    }

    /// <summary>Remembers until the next boot that the engine turned forwarding on and therefore guards the host's other interfaces.</summary>
    public void RememberGuard(bool v4) => AtomicFile.Write(GuardPath(v4), System.Text.Encoding.ASCII.GetBytes(bootId), durable: false);

    public bool HasGuard(bool v4) => File.Exists(GuardPath(v4)) && File.ReadAllText(GuardPath(v4)) == bootId;

    private string GuardPath(bool v4) => Path.Combine(instances, "..", v4 ? "guard4" : "guard6");

    private string InstancePath(string id) => Path.Combine(instances, id + ".json");
}
