using System.Net;
using System.Text;
using Hull.Core;

namespace Hull.Network;

/// <summary>
/// Writes an instance's hosts, resolv.conf and hostname files. They are bound into the instance, so a later change keeps
/// the inode and rewrites the content; a file that the workload has changed itself is left alone.
/// </summary>
internal static class InstanceFiles
{
    private const string Mark = "# made by hull; an edited file is not touched again\n";

    /// <param name="fresh">True for an instance that starts: whatever its last run left in the files is replaced.</param>
    public static void Write(InstanceNetwork network, IPAddress? hostGateway, string hostHosts, bool fresh)
    {
        if (network.Spec.FilesDirectory is not { } directory) return;
        Directory.CreateDirectory(directory);
        Replace(Path.Combine(directory, "hosts"), network.Spec.HostNetwork ? HostHosts(hostHosts, network.Spec) : Hosts(network, hostGateway), fresh);
        Replace(Path.Combine(directory, "resolv.conf"), ResolvConf(network.Resolver), fresh);
        Replace(Path.Combine(directory, "hostname"), HostnameOf(network.Spec) + "\n", fresh);
    }

    /// <summary>For the host's network: its own files, with the instance's extra hosts.</summary>
    private static string HostHosts(string hostsFile, InstanceNetworkSpec spec)
    {
        var text = new StringBuilder(File.Exists(hostsFile) ? File.ReadAllText(hostsFile) : "127.0.0.1\tlocalhost\n::1\tlocalhost\n");
        if (text.Length > 0 && text[^1] != '\n') text.Append('\n');
        AppendExtra(text, spec, IPAddress.Loopback);
        return text.ToString();
    }

    private static void Replace(string path, string content, bool fresh)
    {
        if (!fresh && File.Exists(path) && File.ReadAllText(path) is { } old)
        {
            if (old == content) return;
            // hostname has no mark: it is written at the start only.
            if (old.Length > 0 && !old.StartsWith(Mark, StringComparison.Ordinal)) return;
        }

        using var file = new FileStream(path, FileMode.OpenOrCreate, FileAccess.Write, FileShare.ReadWrite, bufferSize: 0);
        var bytes = Encoding.UTF8.GetBytes(content);
        file.Write(bytes);
        file.SetLength(bytes.Length);
        File.SetUnixFileMode(file.SafeFileHandle, UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.GroupRead | UnixFileMode.OtherRead);
    }

    public static string ResolvConf(ResolverConfiguration resolver)
    {
        var text = new StringBuilder(Mark);
        foreach (var server in resolver.Servers) text.Append("nameserver ").Append(server).Append('\n');
        if (resolver.Search.Count > 0) text.Append("search ").AppendJoin(' ', resolver.Search).Append('\n');
        if (resolver.Options.Count > 0) text.Append("options ").AppendJoin(' ', resolver.Options).Append('\n');
        return text.ToString();
    }

    private static string Hosts(InstanceNetwork network, IPAddress? hostGateway)
    {
        var spec = network.Spec;
        var text = new StringBuilder(Mark + "127.0.0.1\tlocalhost\n::1\tlocalhost ip6-localhost ip6-loopback\nfe00::\tip6-localnet\nff00::\tip6-mcastprefix\nff02::1\tip6-allnodes\nff02::2\tip6-allrouters\n");
        AppendExtra(text, spec, hostGateway ?? network.Endpoints.Select(e => e.IPv4Gateway ?? e.IPv6Gateway).FirstOrDefault(g => g is not null));
        var host = HostnameOf(spec);
        var names = spec.Domainname.Length > 0 ? $"{host}.{spec.Domainname} {host}" : host.Contains('.') ? $"{host} {host[..host.IndexOf('.')]}" : host;
        foreach (var endpoint in network.Endpoints)
        {
            if (endpoint.IPv4Address is { } v4) text.Append(v4).Append('\t').Append(names).Append('\n');
            if (endpoint.IPv6Address is { } v6) text.Append(v6).Append('\t').Append(names).Append('\n');
        }

        return text.ToString();
    }

    private static string HostnameOf(InstanceNetworkSpec spec) => spec.Hostname.Length > 0 ? spec.Hostname : RandomId.Short(spec.InstanceId);

    private static void AppendExtra(StringBuilder text, InstanceNetworkSpec spec, IPAddress? hostGateway)
    {
        foreach (var entry in spec.ExtraHosts)
        {
            var (name, address) = ParseExtraHost(entry);
            var target = address == "host-gateway"
                ? hostGateway?.ToString() ?? throw HullException.Invalid($"extra host '{entry}': this instance has no gateway to the host")
                : address;
            text.Append(target).Append('\t').Append(name).Append('\n');
        }
    }

    /// <summary><c>name:address</c> (the address may hold colons and brackets) or <c>name=address</c>.</summary>
    public static (string Name, string Address) ParseExtraHost(string entry)
    {
        var cut = entry.IndexOfAny([':', '=']);
        if (cut <= 0) throw HullException.Invalid($"extra host '{entry}': expected name:address");
        var (name, address) = (entry[..cut], entry[(cut + 1)..].Trim('[', ']'));
        if (name.AsSpan().ContainsAny(" \t\r\n#")) throw HullException.Invalid($"extra host '{entry}': a name holds no blanks");
        if (address != "host-gateway" && !IPAddress.TryParse(address, out _))
            throw HullException.Invalid($"extra host '{entry}': '{address}' is neither an IP address nor host-gateway");
        return (name, address);
    }
}
