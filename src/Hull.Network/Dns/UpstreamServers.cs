using System.Net;

namespace Hull.Network;

/// <summary>
/// The name servers outside: those of the engine's configuration, or those of the host's resolv.conf, read anew when the
/// file changes (resolv.conf(5)).
/// </summary>
internal sealed class UpstreamServers(string path, IReadOnlyList<IPAddress> configured)
{
    private readonly Lock gate = new();
    private (DateTime Written, HostResolver Content) cache = (default, HostResolver.Empty);

    public IReadOnlyList<IPAddress> Current => configured.Count > 0 ? configured : Host.Servers;

    /// <summary>The host's resolv.conf.</summary>
    public HostResolver Host
    {
        get
        {
            lock (gate)
            {
                var written = File.GetLastWriteTimeUtc(path);
                if (written != cache.Written) cache = (written, HostResolver.Read(path));
                return cache.Content;
            }
        }
    }
}

/// <summary>What a resolv.conf says.</summary>
internal sealed record HostResolver(IReadOnlyList<IPAddress> Servers, IReadOnlyList<string> Search, IReadOnlyList<string> Options)
{
    public static HostResolver Empty { get; } = new([], [], []);

    public static HostResolver Read(string path)
    {
        try
        {
            return Parse(File.ReadLines(path).Take(1000));
        }
        catch (IOException)
        {
            return Empty;
        }
        catch (UnauthorizedAccessException)
        {
            return Empty;
        }
    }

    public static HostResolver Parse(IEnumerable<string> lines)
    {
        var servers = new List<IPAddress>();
        IReadOnlyList<string> search = [];
        var options = new List<string>();
        foreach (var line in lines)
        {
            var words = line.Split((char[])[' ', '\t'], StringSplitOptions.RemoveEmptyEntries);
            if (words.Length < 2 || words[0].StartsWith('#') || words[0].StartsWith(';')) continue;
            switch (words[0])
            {
                case "nameserver" when IPAddress.TryParse(words[1], out var address): servers.Add(address); break;
                case "search": search = words[1..]; break;
                case "domain": search = [words[1]]; break;
                case "options": options.AddRange(words[1..]); break;
                default: break;
            }
        }

        return new HostResolver(servers, search, options);
    }
}
