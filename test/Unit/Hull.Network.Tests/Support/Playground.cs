using System.Net;
using Hull.Linux.Netlink;
using Hull.Testing;

namespace Hull.Network.Tests;

/// <summary>
/// A private network namespace that plays the host, with an uplink to another that plays the rest of the world, and a
/// manager inside. The machine's own network is never touched.
/// </summary>
public sealed class Playground : IAsyncDisposable
{
    private readonly TemporaryDirectory directory = new("hull-net");
    private readonly NetworkNamespace host = NetworkNamespace.Create();
    private readonly NetworkNamespace world = NetworkNamespace.Create();

    private Playground()
    {
        Require.Root();
        HostPath = directory["host"];
        WorldPath = directory["world"];
        host.BindTo(HostPath);
        world.BindTo(WorldPath);
        InHost("ip link set lo up && ip link add uplink type veth peer name eth0 netns $WORLD && ip addr add 198.51.100.1/24 dev uplink && ip link set uplink up && ip addr add 2001:db8::1/64 dev uplink nodad");
        InWorld("ip link set lo up && ip addr add 198.51.100.2/24 dev eth0 && ip link set eth0 up && ip addr add 2001:db8::2/64 dev eth0 nodad");
    }

    public string HostPath { get; }

    public string WorldPath { get; }

    public NetworkManager Manager { get; private set; } = null!;

    public List<string> Log { get; } = [];

    public NetworkManagerOptions Options => new()
    {
        StateDirectory = directory["state"],
        RuntimeDirectory = directory["run"],
        HostNamespacePath = HostPath,
        HostResolvConf = directory["resolv.conf"],
        Log = line => { lock (Log) Log.Add(line); },
    };

    public string this[string relative] => directory[relative];

    public static async Task<Playground> CreateAsync(Func<NetworkManagerOptions, NetworkManagerOptions>? configure = null)
    {
        var playground = new Playground();
        File.WriteAllText(playground["resolv.conf"], "nameserver 198.51.100.2\nsearch example.test\n");
        try
        {
            await playground.OpenAsync(configure);
            return playground;
        }
        catch
        {
            await playground.DisposeAsync();
            throw;
        }
    }

    /// <summary>Opens the manager (again).</summary>
    public async Task OpenAsync(Func<NetworkManagerOptions, NetworkManagerOptions>? configure = null) =>
        Manager = await NetworkManager.OpenAsync(configure?.Invoke(Options) ?? Options);

    public async Task<InstanceNetwork> StartAsync(string name, string network = "bridge", params PortMapping[] ports) =>
        await Manager.SetUpAsync(Spec(name, network) with { Ports = ports });

    public InstanceNetworkSpec Spec(string name, params string[] networks) => new()
    {
        InstanceId = Convert.ToHexStringLower(System.Security.Cryptography.SHA256.HashData(System.Text.Encoding.UTF8.GetBytes(name))),
        Name = name,
        Endpoints = [.. networks.Select(n => new EndpointSpec { Network = n })],
        FilesDirectory = directory["files-" + name],
    };

    public string InHost(string script) => In(HostPath, script).Ok().Trimmed;

    public string InWorld(string script) => In(WorldPath, script).Ok().Trimmed;

    public string In(InstanceNetwork instance, string script) => In(instance.SandboxPath!, script).Ok().Trimmed;

    /// <summary>Runs a script in a namespace; <c>$WORLD</c> and <c>$HOST</c> are their paths.</summary>
    public CommandResult In(string namespacePath, string script, string? input = null) =>
        Command.Run("nsenter", ["--net=" + namespacePath, "sh", "-c", script], input, TimeSpan.FromSeconds(20),
            new Dictionary<string, string?> { ["WORLD"] = WorldPath, ["HOST"] = HostPath });

    /// <summary>A server in a namespace that sends back what it is sent after the caller's address; gone with the result.</summary>
    public EchoServer Serve(string namespacePath, int port, TransportProtocol protocol = TransportProtocol.Tcp, bool v6 = false) =>
        new(namespacePath, port, protocol, v6);

    /// <summary>Asks an echo server from a namespace; null where it cannot be reached.</summary>
    public string? Ask(string namespacePath, IPAddress address, int port, TransportProtocol protocol = TransportProtocol.Tcp) =>
        EchoServer.Ask(namespacePath, address, port, protocol);

    public async ValueTask DisposeAsync()
    {
        if (Manager is { } manager)
        {
            foreach (var instance in manager.Instances) await manager.TearDownAsync(instance.InstanceId);
            await manager.DisposeAsync();
        }

        host.Dispose();
        world.Dispose();
        NetworkNamespace.Unbind(HostPath);
        NetworkNamespace.Unbind(WorldPath);
        directory.Dispose();
    }
}
