// The client runs on Windows and macOS too, where the writer of Hull.Linux does not: files are replaced by rename here.
using System.Text.Json;
using System.Text.Json.Serialization;
using Hull.Client;
using Hull.Core;

namespace Hull.Cli.Contexts;

/// <summary>A named engine: where it is and with what certificates or token.</summary>
public sealed record ContextDocument
{
    public required string Host { get; init; }

    public string? Description { get; init; }

    public string? CaCertificate { get; init; }

    public string? Certificate { get; init; }

    public string? Key { get; init; }

    public bool SkipVerification { get; init; }

    public string? Token { get; init; }

    public EngineEndpoint ToEndpoint()
    {
        var endpoint = EngineEndpoint.Parse(Host) with { Token = Token };
        return endpoint.Kind == EndpointKind.Tcp && (CaCertificate ?? Certificate) is not null
            ? endpoint with { Tls = new TlsFiles(CaCertificate, Certificate, Key, !SkipVerification) }
            : endpoint;
    }
}

[JsonSerializable(typeof(ContextDocument))]
[JsonSourceGenerationOptions(WriteIndented = true, PropertyNamingPolicy = JsonKnownNamingPolicy.CamelCase,
    DefaultIgnoreCondition = JsonIgnoreCondition.WhenWritingDefault)]
internal sealed partial class ContextJson : JsonSerializerContext;

/// <summary>
/// Contexts as files a person can read: <c>~/.config/hull/contexts/NAME.json</c> and, beside the folder,
/// <c>current-context</c>. HULL_CONFIG names another directory.
/// </summary>
public static class ContextStore
{
    /// <summary>The engine of this machine; always there, never stored.</summary>
    public const string Default = "default";

    private static string Directory =>
        Environment.GetEnvironmentVariable("HULL_CONFIG") is { Length: > 0 } configured ? configured
        : Environment.GetEnvironmentVariable("XDG_CONFIG_HOME") is { Length: > 0 } xdg ? Path.Combine(xdg, "hull")
        : Path.Combine(Environment.GetFolderPath(Environment.SpecialFolder.UserProfile), ".config", "hull");

    private static string CurrentFile => Path.Combine(Directory, "current-context");

    /// <summary>Name of the chosen context; null when none was.</summary>
    public static string? Current() => File.Exists(CurrentFile) ? File.ReadAllText(CurrentFile).Trim() : null;

    public static void Use(string name)
    {
        if (name != Default) Load(name);
        Replace(CurrentFile, System.Text.Encoding.UTF8.GetBytes(name + "\n"));
    }

    public static IReadOnlyList<string> Names()
    {
        var directory = Path.Combine(Directory, "contexts");
        return System.IO.Directory.Exists(directory)
            ? [Default, .. System.IO.Directory.GetFiles(directory, "*.json").Select(f => Path.GetFileNameWithoutExtension(f)).Order(StringComparer.Ordinal)]
            : [Default];
    }

    public static ContextDocument Load(string name)
    {
        var path = FileOf(name);
        if (!File.Exists(path)) throw HullException.NotFound($"no context '{name}', hull context ls lists them");
        try
        {
            return JsonSerializer.Deserialize(File.ReadAllBytes(path), ContextJson.Default.ContextDocument)
                ?? throw HullException.Corrupted($"context file {path} is empty");
        }
        catch (JsonException e)
        {
            throw HullException.Corrupted($"context file {path} cannot be read", e);
        }
    }

    public static void Save(string name, ContextDocument document, bool replace)
    {
        var path = FileOf(name);
        if (!replace && File.Exists(path)) throw HullException.Exists($"context '{name}' exists, hull context update changes it");
        document.ToEndpoint();
        Replace(path, JsonSerializer.SerializeToUtf8Bytes(document, ContextJson.Default.ContextDocument));
    }

    public static void Remove(string name)
    {
        var path = FileOf(name);
        if (!File.Exists(path)) throw HullException.NotFound($"no context '{name}', hull context ls lists them");
        if (Current() == name) throw HullException.Conflict($"context '{name}' is in use, choose another first: hull context use default");
        File.Delete(path);
    }

    private static string FileOf(string name)
    {
        var valid = name.Length is > 0 and <= 100 && name != Default && char.IsAsciiLetterOrDigit(name[0])
            && name.All(c => char.IsAsciiLetterOrDigit(c) || c is '-' or '_' or '.' or '+');
        return valid
            ? Path.Combine(Directory, "contexts", name + ".json")
            : throw HullException.Invalid($"invalid context name '{name}': letters, digits, '-', '_', '.' and '+', and not '{Default}'");
    }

    private static void Replace(string path, byte[] content)
    {
        System.IO.Directory.CreateDirectory(Path.GetDirectoryName(path)!);
        var temporary = path + "." + Environment.ProcessId + ".tmp";
        var options = new FileStreamOptions { Mode = FileMode.CreateNew, Access = FileAccess.Write };
        // A context may hold a token.
        if (!OperatingSystem.IsWindows()) options.UnixCreateMode = UnixFileMode.UserRead | UnixFileMode.UserWrite;
        using (var file = new FileStream(temporary, options))
        {
            file.Write(content);
            file.Flush(flushToDisk: true);
        }

        File.Move(temporary, path, overwrite: true);
    }
}
