using Hull.Linux.Netlink;

namespace Hull.Network;

/// <summary>The network stack that plays the host: its sockets, and a way to run code inside its namespace.</summary>
internal sealed class HostStack : IDisposable
{
    private readonly NetworkNamespace? host;
    private readonly bool ipv6 = Directory.Exists("/proc/sys/net/ipv6");

    /// <param name="namespacePath">Null is the caller's own namespace.</param>
    public HostStack(string? namespacePath)
    {
        host = namespacePath is null ? null : NetworkNamespace.Open(namespacePath);
        (Route, Firewall, Connections) = Run(() => (new RouteSocket(), new NftSocket(), new ConntrackSocket()));
    }

    public RouteSocket Route { get; }

    public NftSocket Firewall { get; }

    public ConntrackSocket Connections { get; }

    /// <summary>Whether a link of this MTU has IPv6 at all: the kernel may be without, and IPv6 needs 1280 bytes (RFC 8200).</summary>
    public bool HasIPv6(int mtu) => mtu >= 1280 && ipv6;

    public T Run<T>(Func<T> work) => host is null ? work() : host.Run(work);

    public void Run(Action work)
    {
        if (host is null) work();
        else host.Run(work);
    }

    public string ReadSysctl(string name) => Run(() =>
    {
        var path = PathOf(name);
        return File.Exists(path) ? File.ReadAllText(path).Trim() : "";
    });

    /// <summary>Writes a value; a kernel without the setting is left as it is, and false answered.</summary>
    public bool WriteSysctl(string name, string value) => Run(() => Sysctl.TryWrite(PathOf(name), value));

    public void Dispose()
    {
        Route.Dispose();
        Firewall.Dispose();
        Connections.Dispose();
        host?.Dispose();
    }

    private static string PathOf(string name) => "/proc/sys/" + name;
}

/// <summary>Values below /proc/sys, of the calling thread's network namespace.</summary>
internal static class Sysctl
{
    public static bool TryWrite(string path, string value)
    {
        try
        {
            using var file = new FileStream(path, FileMode.Open, FileAccess.Write, FileShare.ReadWrite, bufferSize: 0);
            file.Write(System.Text.Encoding.ASCII.GetBytes(value));
            return true;
        }
        catch (IOException)
        {
            return false;
        }
        catch (UnauthorizedAccessException)
        {
            return false;
        }
    }
}
