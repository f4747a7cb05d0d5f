using System.Text;
using System.Text.Json;
using System.Text.Json.Nodes;
using Hull.Core;

namespace Hull.Images.Distribution;

/// <summary>
/// The logins of docker (<c>config.json</c>) and of podman, buildah and skopeo (<c>auth.json</c>): both files have the
/// same form. Secrets lie in the file itself or with a credential helper that it names.
/// </summary>
public sealed class DockerConfig : ICredentialSource
{
    /// <summary>The key Docker keeps its Hub's login under.</summary>
    private const string HubKey = "https://index.docker.io/v1/";

    private const int MaximumSize = 4 << 20;

    private readonly IReadOnlyList<(string Path, JsonObject Content)> _files;

    private DockerConfig(IReadOnlyList<(string, JsonObject)> files) => _files = files;

    /// <summary>Where <c>hull login</c> writes: <c>$DOCKER_CONFIG/config.json</c>, else <c>~/.docker/config.json</c>.</summary>
    public static string DefaultPath =>
        Environment.GetEnvironmentVariable("DOCKER_CONFIG") is { Length: > 0 } directory
            ? Path.Combine(directory, "config.json")
            : Path.Combine(Environment.GetFolderPath(Environment.SpecialFolder.UserProfile), ".docker", "config.json");

    /// <summary>Reads the files that exist, best first. Throws <see cref="ErrorKind.InvalidArgument"/> for one that cannot be read.</summary>
    public static DockerConfig Load(IEnumerable<string>? paths = null)
    {
        var files = new List<(string, JsonObject)>();
        foreach (var path in paths ?? DefaultPaths())
        {
            if (Read(path) is { } content) files.Add((path, content));
        }

        return new DockerConfig(files);
    }

    /// <summary>The credential for a registry: of a helper for it, else of the common helper, else from the file.</summary>
    public async Task<RegistryCredential?> FindAsync(string domain, CancellationToken cancellation = default)
    {
        foreach (var (path, content) in _files)
        {
            if (HelperFor(content, domain) is { } helper)
            {
                if (await CredentialHelper.GetAsync(helper, KeyFor(domain), cancellation).ConfigureAwait(false) is { } secret) return secret;
            }

            if (FromFile(path, content, domain) is { } credential) return credential;
        }

        return null;
    }

    /// <summary>Keeps a login in the file, or with the helper the file names.</summary>
    public static async Task StoreAsync(string path, string domain, RegistryCredential credential, CancellationToken cancellation = default)
    {
        var content = Read(path) ?? [];
        if (HelperFor(content, domain) is { } helper)
        {
            await CredentialHelper.StoreAsync(helper, KeyFor(domain), credential, cancellation).ConfigureAwait(false);
            Auths(content)[KeyFor(domain)] = new JsonObject();
        }
        else
        {
            var entry = new JsonObject { ["auth"] = Convert.ToBase64String(Encoding.UTF8.GetBytes(credential.Username + ":" + credential.Password)) };
            if (credential.IdentityToken is { Length: > 0 } token) entry["identitytoken"] = token;
            Auths(content)[KeyFor(domain)] = entry;
        }

        Write(path, content);
    }

    /// <summary>Forgets a login; false where there was none.</summary>
    public static async Task<bool> EraseAsync(string path, string domain, CancellationToken cancellation = default)
    {
        if (Read(path) is not { } content) return false;
        if (HelperFor(content, domain) is { } helper) await CredentialHelper.EraseAsync(helper, KeyFor(domain), cancellation).ConfigureAwait(false);
        var auths = Auths(content);
        var keys = auths.Select(entry => entry.Key).Where(key => HostOf(key) == domain).ToList();
        if (keys.Count == 0) return false;
        foreach (var key in keys) auths.Remove(key);
        Write(path, content);
        return true;
    }

    /// <summary>The registry a key of <c>auths</c> means: without scheme and path, and Docker's old name for its Hub.</summary>
    public static string HostOf(string key)
    {
        var text = key;
        var scheme = text.IndexOf("://", StringComparison.Ordinal);
        if (scheme >= 0) text = text[(scheme + 3)..];
        var slash = text.IndexOf('/', StringComparison.Ordinal);
        if (slash >= 0) text = text[..slash];
        return text is "index.docker.io" or "registry-1.docker.io" ? ImageReference.DefaultDomain : text;
    }

    private static string KeyFor(string domain) => domain == ImageReference.DefaultDomain ? HubKey : domain;

    private static IEnumerable<string> DefaultPaths()
    {
        yield return DefaultPath;
        if (Environment.GetEnvironmentVariable("REGISTRY_AUTH_FILE") is { Length: > 0 } named) yield return named;
        if (Environment.GetEnvironmentVariable("XDG_RUNTIME_DIR") is { Length: > 0 } runtime) yield return Path.Combine(runtime, "containers", "auth.json");
        var user = Environment.GetFolderPath(Environment.SpecialFolder.UserProfile);
        yield return $"/run/containers/{Environment.GetEnvironmentVariable("UID") ?? "0"}/auth.json";
        yield return Path.Combine(user, ".config", "containers", "auth.json");
    }

    private static JsonObject? Read(string path)
    {
        try
        {
            if (!File.Exists(path)) return null;
            if (new FileInfo(path).Length > MaximumSize) throw HullException.Invalid($"{path} is too large for a login file");
            var text = File.ReadAllBytes(path);
            if (text.Length == 0) return null;
            var content = JsonNode.Parse(text, documentOptions: new JsonDocumentOptions { MaxDepth = 16 })?.AsObject();
            Touch(content);
            return content;
        }
        catch (Exception error) when (error is JsonException or InvalidOperationException or ArgumentException or IOException or UnauthorizedAccessException)
        {
            throw HullException.Invalid($"login file {path} cannot be read", error);
        }
    }

    /// <summary>Nodes are read when they are first asked for: asking for all at once finds names that come twice and text that is no UTF-8.</summary>
    private static void Touch(JsonNode? node)
    {
        if (node is JsonObject entries)
        {
            foreach (var (_, value) in entries) Touch(value);
        }
        else if (node is JsonArray items)
        {
            foreach (var item in items) Touch(item);
        }
        else
        {
            Text(node);
        }
    }

    private static void Write(string path, JsonObject content)
    {
        var bytes = new MemoryStream();
        using (var writer = new Utf8JsonWriter(bytes, new JsonWriterOptions { Indented = true, IndentCharacter = '\t', IndentSize = 1 })) content.WriteTo(writer);
        Directory.CreateDirectory(Path.GetDirectoryName(Path.GetFullPath(path))!, UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute);
        Linux.Files.AtomicFile.Write(path, bytes.ToArray());
    }

    private static JsonObject Auths(JsonObject content)
    {
        if (content["auths"] is JsonObject known) return known;
        var made = new JsonObject();
        content["auths"] = made;
        return made;
    }

    private static string? HelperFor(JsonObject content, string domain)
    {
        if (content["credHelpers"] is JsonObject helpers)
        {
            foreach (var (key, value) in helpers)
            {
                if (HostOf(key) == domain && Text(value) is { Length: > 0 } helper) return helper;
            }
        }

        return Text(content["credsStore"]) is { Length: > 0 } store ? store : null;
    }

    private static RegistryCredential? FromFile(string path, JsonObject content, string domain)
    {
        if (content["auths"] is not JsonObject auths) return null;
        foreach (var (key, value) in auths)
        {
            if (HostOf(key) != domain || value is not JsonObject entry || entry.Count == 0) continue;
            var (name, password) = Decode(path, key, Text(entry["auth"]));
            name ??= Text(entry["username"]) ?? "";
            password ??= Text(entry["password"]) ?? "";
            var (identity, registry) = (Text(entry["identitytoken"]), Text(entry["registrytoken"]));
            if (name.Length > 0 || identity is { Length: > 0 } || registry is { Length: > 0 }) return new RegistryCredential(name, password, identity, registry);
        }

        return null;
    }

    private static (string? Name, string? Password) Decode(string path, string key, string? auth)
    {
        if (string.IsNullOrEmpty(auth)) return (null, null);
        try
        {
            var text = Encoding.UTF8.GetString(Convert.FromBase64String(auth));
            var colon = text.IndexOf(':', StringComparison.Ordinal);
            if (colon < 0) throw new FormatException("no colon");
            return (text[..colon], text[(colon + 1)..].TrimEnd('\0'));
        }
        catch (FormatException)
        {
            throw HullException.Invalid($"login for {key} in {path} is not base64 of name:password: hull login {HostOf(key)}");
        }
    }

    private static string? Text(JsonNode? node) => node is JsonValue value && value.TryGetValue<string>(out var text) ? text : null;
}
