using System.Globalization;
using System.Net;
using Hull.Core;
using Hull.Engine.Drivers;

namespace Hull.Engine.Workloads;

/// <summary>Log drivers and their options as users write them, checked at creation and handed to the shim.</summary>
internal static class LogSettings
{
    public const string FileName = "output.log";
    private static readonly string[] s_facilities =
    [
        "kern", "user", "mail", "daemon", "auth", "syslog", "lpr", "news", "uucp", "cron", "authpriv", "ftp", "", "", "", "",
        "local0", "local1", "local2", "local3", "local4", "local5", "local6", "local7",
    ];

    /// <summary>Throws <see cref="ErrorKind.InvalidArgument"/> for an unknown driver, option or value.</summary>
    public static LogSpec ToSpec(WorkloadRecord record, string directory) => record.LogDriver switch
    {
        "json-file" or "local" => ToFile(record, directory),
        "journald" => new LogSpec { Driver = "journald", Options = JournalFields(record) },
        "syslog" => new LogSpec { Driver = "syslog", Options = SyslogOptions(record) },
        "none" => new LogSpec { Driver = "none" },
        var other => throw HullException.Invalid($"logger: no log driver named '{other}' is registered: use json-file, local, journald, syslog or none"),
    };

    private static LogSpec ToFile(WorkloadRecord record, string directory)
    {
        var spec = new LogSpec { Driver = record.LogDriver, Path = Path.Combine(directory, FileName) };
        foreach (var (name, value) in record.LogOptions)
        {
            spec = name switch
            {
                "max-size" => spec with { MaxSize = value is "-1" or "unlimited" ? 0 : Sizes.Parse(value) },
                "max-file" => spec with { MaxFiles = int.TryParse(value, NumberStyles.None, CultureInfo.InvariantCulture, out var files) && files > 0
                    ? files : throw HullException.Invalid($"invalid value '{value}' for log option max-file: a number above 0") },
                "compress" => spec with { Compress = value is "true" or "1" },
                "labels" or "labels-regex" or "env" or "env-regex" or "tag" or "mode" or "max-buffer-size" => spec,
                _ => throw HullException.Invalid($"unknown log opt '{name}' for {record.LogDriver} log driver"),
            };
        }

        var attributes = Attributes(record);
        return attributes.Count == 0 ? spec : spec with { Options = new Dictionary<string, string> { ["attrs"] = JsonText.Object(attributes) } };
    }

    private static SortedDictionary<string, string> Attributes(WorkloadRecord record)
    {
        var attributes = new SortedDictionary<string, string>(StringComparer.Ordinal);
        foreach (var name in Names("labels"))
        {
            if (record.Labels.TryGetValue(name, out var value)) attributes[name] = value;
        }

        foreach (var name in Names("env"))
        {
            var variable = record.Process.Environment.FirstOrDefault(one => one.StartsWith(name + "=", StringComparison.Ordinal));
            if (variable is not null) attributes[name] = variable[(name.Length + 1)..];
        }

        if (record.LogOptions.TryGetValue("tag", out var tag) && tag.Length > 0) attributes["tag"] = Tag(record);
        return attributes;

        string[] Names(string option) => record.LogOptions.TryGetValue(option, out var list) ? list.Split(',', StringSplitOptions.RemoveEmptyEntries) : [];
    }

    private static Dictionary<string, string> JournalFields(WorkloadRecord record) => new()
    {
        ["CONTAINER_ID"] = RandomId.Short(record.Id),
        ["CONTAINER_ID_FULL"] = record.Id,
        ["CONTAINER_NAME"] = record.Name,
        ["CONTAINER_TAG"] = Tag(record),
        ["SYSLOG_IDENTIFIER"] = Tag(record),
        ["IMAGE_NAME"] = record.Config.Image,
    };

    private static Dictionary<string, string> SyslogOptions(WorkloadRecord record)
    {
        var options = new Dictionary<string, string> { ["tag"] = Tag(record), ["hostname"] = Dns.GetHostName() };
        foreach (var (name, value) in record.LogOptions)
        {
            switch (name)
            {
                case "syslog-address": options[name] = ResolveAddress(value); break;
                case "syslog-format" when value is "" or "rfc3164" or "rfc5424" or "rfc5424micro": options[name] = value; break;
                case "syslog-facility": options["facility"] = Facility(value).ToString(CultureInfo.InvariantCulture); break;
                case "tag" or "labels" or "env" or "env-regex" or "labels-regex" or "mode" or "max-buffer-size": break;
                default: throw HullException.Invalid($"unknown log opt '{name}' (or its value '{value}') for syslog log driver");
            }
        }

        return options;
    }

    private static int Facility(string text)
    {
        if (int.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out var number) && number < 24) return number;
        var index = text.Length == 0 ? -1 : Array.IndexOf(s_facilities, text);
        return index >= 0 ? index : throw HullException.Invalid($"invalid syslog facility '{text}'");
    }

    /// <summary>A shim resolves no names; the engine does, once.</summary>
    private static string ResolveAddress(string address)
    {
        if (address.StartsWith("tcp+tls:", StringComparison.Ordinal)) throw HullException.Unsupported("syslog over TLS is not supported: use tcp, udp or unix");
        if (address.StartsWith("unix", StringComparison.Ordinal)) return address;
        if (!Uri.TryCreate(address, UriKind.Absolute, out var uri) || uri.Scheme is not ("tcp" or "udp"))
            throw HullException.Invalid($"invalid syslog address '{address}': use unix://PATH, udp://HOST:PORT or tcp://HOST:PORT");
        if (IPAddress.TryParse(uri.Host.Trim('[', ']'), out _)) return address;
        try
        {
            var resolved = Dns.GetHostAddresses(uri.Host).First();
            return $"{uri.Scheme}://{new IPEndPoint(resolved, uri.Port < 0 ? 514 : uri.Port)}";
        }
        catch (System.Net.Sockets.SocketException error)
        {
            throw HullException.Invalid($"the host of syslog address '{address}' is unknown", error);
        }
    }

    /// <summary>The tag: a template of Docker's few placeholders; the short id without one.</summary>
    private static string Tag(WorkloadRecord record)
    {
        if (!record.LogOptions.TryGetValue("tag", out var template) || template.Length == 0) return RandomId.Short(record.Id);
        return template.Replace("{{.ID}}", RandomId.Short(record.Id)).Replace("{{.FullID}}", record.Id).Replace("{{.Name}}", record.Name)
            .Replace("{{.ImageName}}", record.Config.Image).Replace("{{.ImageID}}", record.ImageId).Replace("{{.DaemonName}}", "hull");
    }
}

/// <summary>Sizes such as <c>10m</c>.</summary>
internal static class Sizes
{
    /// <summary>Bytes; a unit of b, k, m, g or t (with or without b) is binary. Throws <see cref="ErrorKind.InvalidArgument"/>.</summary>
    public static long Parse(string text)
    {
        var clean = text.Trim().ToLowerInvariant().TrimEnd('b', 'i');
        var shift = clean.Length == 0 ? 0 : clean[^1] switch { 'k' => 10, 'm' => 20, 'g' => 30, 't' => 40, _ => 0 };
        if (shift > 0) clean = clean[..^1];
        return decimal.TryParse(clean, NumberStyles.AllowDecimalPoint, CultureInfo.InvariantCulture, out var number) && number >= 0 && number < 1L << 22
            || decimal.TryParse(clean, NumberStyles.AllowDecimalPoint, CultureInfo.InvariantCulture, out number) && shift == 0 && number >= 0
            ? (long)(number * (1L << shift))
            : throw HullException.Invalid($"invalid size '{text}': expected a number with a unit, such as 10m");
    }
}

/// <summary>Small JSON texts.</summary>
internal static class JsonText
{
    public static string Object(IEnumerable<KeyValuePair<string, string>> members)
    {
        using var stream = new MemoryStream();
        using (var writer = new System.Text.Json.Utf8JsonWriter(stream))
        {
            writer.WriteStartObject();
            foreach (var (name, value) in members) writer.WriteString(name, value);
            writer.WriteEndObject();
        }

        return System.Text.Encoding.UTF8.GetString(stream.ToArray());
    }
}
