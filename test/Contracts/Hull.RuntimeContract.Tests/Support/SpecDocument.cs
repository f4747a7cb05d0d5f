using System.Text.Json.Nodes;

namespace Hull.RuntimeContract.Tests;

/// <summary>A config.json that starts as an ordinary container and is changed by dotted paths.</summary>
public sealed class SpecDocument
{
    /// <summary>The default: what <c>runc spec</c> writes, without a terminal.</summary>
    private const string Default = """
        {
          "ociVersion": "1.0.2",
          "process": {
            "user": { "uid": 0, "gid": 0 },
            "args": [ "true" ],
            "env": [ "PATH=/usr/sbin:/usr/bin:/sbin:/bin" ],
            "cwd": "/",
            "capabilities": {
              "bounding": [ "CAP_AUDIT_WRITE", "CAP_KILL", "CAP_NET_BIND_SERVICE" ],
              "effective": [ "CAP_AUDIT_WRITE", "CAP_KILL", "CAP_NET_BIND_SERVICE" ],
              "permitted": [ "CAP_AUDIT_WRITE", "CAP_KILL", "CAP_NET_BIND_SERVICE" ]
            },
            "rlimits": [ { "type": "RLIMIT_NOFILE", "hard": 1024, "soft": 1024 } ],
            "noNewPrivileges": true
          },
          "root": { "path": "rootfs", "readonly": false },
          "hostname": "hull",
          "mounts": [
            { "destination": "/proc", "type": "proc", "source": "proc" },
            { "destination": "/dev", "type": "tmpfs", "source": "tmpfs", "options": [ "nosuid", "strictatime", "mode=755", "size=65536k" ] },
            { "destination": "/dev/pts", "type": "devpts", "source": "devpts", "options": [ "nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620", "gid=5" ] },
            { "destination": "/dev/shm", "type": "tmpfs", "source": "shm", "options": [ "nosuid", "noexec", "nodev", "mode=1777", "size=65536k" ] },
            { "destination": "/dev/mqueue", "type": "mqueue", "source": "mqueue", "options": [ "nosuid", "noexec", "nodev" ] },
            { "destination": "/sys", "type": "sysfs", "source": "sysfs", "options": [ "nosuid", "noexec", "nodev", "ro" ] }
          ],
          "linux": {
            "resources": { "devices": [ { "allow": false, "access": "rwm" } ] },
            "namespaces": [ { "type": "pid" }, { "type": "network" }, { "type": "ipc" }, { "type": "uts" }, { "type": "mount" } ],
            "maskedPaths": [ "/proc/acpi", "/proc/kcore", "/proc/keys", "/sys/firmware" ],
            "readonlyPaths": [ "/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger" ]
          }
        }
        """;

    public JsonObject Json { get; private set; } = JsonNode.Parse(Default)!.AsObject();

    public SpecDocument Args(params string[] args)
    {
        Json["process"]!["args"] = new JsonArray([.. args.Select(text => JsonValue.Create(text))]);
        return this;
    }

    /// <summary>Runs a script of the container's shell.</summary>
    public SpecDocument Script(string script) => Args("sh", "-c", script);

    /// <summary>Sets a member by path ("linux.resources.pids") to a value written as JSON.</summary>
    public SpecDocument Set(string path, string json)
    {
        var (parent, name) = Walk(path);
        parent[name] = JsonNode.Parse(json);
        return this;
    }

    public SpecDocument Text(string path, string value)
    {
        var (parent, name) = Walk(path);
        parent[name] = value;
        return this;
    }

    public SpecDocument Remove(string path)
    {
        var (parent, name) = Walk(path);
        parent.Remove(name);
        return this;
    }

    /// <summary>Adds an element, written as JSON, to an array that may not be there yet.</summary>
    public SpecDocument Add(string path, string json)
    {
        var (parent, name) = Walk(path);
        if (parent[name] is not JsonArray array) parent[name] = array = [];
        array.Add(JsonNode.Parse(json));
        return this;
    }

    public SpecDocument Mount(string destination, string source, string type, params string[] options)
    {
        if (Json["mounts"] is not JsonArray mounts) Json["mounts"] = mounts = [];
        mounts.Add(new JsonObject
        {
            ["destination"] = destination, ["source"] = source, ["type"] = type,
            ["options"] = new JsonArray([.. options.Select(option => JsonValue.Create(option))]),
        });
        return this;
    }

    public SpecDocument Capabilities(string set, params string[] names)
    {
        var (parent, name) = Walk("process.capabilities." + set);
        parent[name] = new JsonArray([.. names.Select(text => JsonValue.Create(text))]);
        return this;
    }

    public SpecDocument WithoutNamespace(string type)
    {
        var namespaces = Json["linux"]!["namespaces"]!.AsArray();
        for (var i = namespaces.Count - 1; i >= 0; i--)
        {
            if ((string?)namespaces[i]!["type"] == type) namespaces.RemoveAt(i);
        }

        return this;
    }

    public override string ToString() => Json.ToJsonString();

    private (JsonObject Parent, string Name) Walk(string path)
    {
        var parts = path.Split('.');
        var current = Json;
        foreach (var part in parts[..^1])
        {
            if (current[part] is not JsonObject next) current[part] = next = [];
            current = next;
        }

        return (current, parts[^1]);
    }
}
