using System.Text.Json.Nodes;

namespace Hull.Bench;

/// <summary>What an engine gives a container by default: all namespaces but user, cgroups with limits, the engines' seccomp profile.</summary>
internal static class BenchSpec
{
    private const string EngineProfile = "/usr/share/containers/seccomp.json";

    private const string Template = """
        {
          "ociVersion": "1.0.2",
          "process": {
            "user": { "uid": 0, "gid": 0, "additionalGids": [ 0 ] },
            "env": [ "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "HOSTNAME=bench" ],
            "cwd": "/",
            "rlimits": [ { "type": "RLIMIT_NOFILE", "hard": 1024, "soft": 1024 } ],
            "oomScoreAdj": 0
          },
          "hostname": "bench",
          "mounts": [
            { "destination": "/proc", "type": "proc", "source": "proc", "options": [ "nosuid", "noexec", "nodev" ] },
            { "destination": "/dev", "type": "tmpfs", "source": "tmpfs", "options": [ "nosuid", "strictatime", "mode=755", "size=65536k" ] },
            { "destination": "/dev/pts", "type": "devpts", "source": "devpts", "options": [ "nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620", "gid=5" ] },
            { "destination": "/sys", "type": "sysfs", "source": "sysfs", "options": [ "nosuid", "noexec", "nodev", "ro" ] },
            { "destination": "/dev/mqueue", "type": "mqueue", "source": "mqueue", "options": [ "nosuid", "noexec", "nodev" ] },
            { "destination": "/dev/shm", "type": "tmpfs", "source": "shm", "options": [ "nosuid", "noexec", "nodev", "mode=1777", "size=67108864" ] }
          ],
          "linux": {
            "resources": {
              "devices": [ { "allow": false, "access": "rwm" } ],
              "memory": { "limit": 268435456 }, "cpu": { "shares": 1024 }, "pids": { "limit": 512 }
            },
            "namespaces": [ { "type": "pid" }, { "type": "network" }, { "type": "ipc" }, { "type": "uts" }, { "type": "mount" }, { "type": "cgroup" } ],
            "maskedPaths": [ "/proc/asound", "/proc/acpi", "/proc/kcore", "/proc/keys", "/proc/latency_stats", "/proc/timer_list", "/proc/timer_stats", "/proc/sched_debug", "/proc/scsi", "/sys/firmware" ],
            "readonlyPaths": [ "/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger" ]
          }
        }
        """;

    private static readonly string[] Capabilities =
    [
        "CAP_CHOWN", "CAP_DAC_OVERRIDE", "CAP_FSETID", "CAP_FOWNER", "CAP_MKNOD", "CAP_NET_RAW", "CAP_SETGID", "CAP_SETUID", "CAP_SETFCAP",
        "CAP_SETPCAP", "CAP_NET_BIND_SERVICE", "CAP_SYS_CHROOT", "CAP_KILL", "CAP_AUDIT_WRITE",
    ];

    internal static JsonObject Make(string rootfs, string[] arguments)
    {
        var spec = JsonNode.Parse(Template)!.AsObject();
        spec["process"]!["args"] = Array(arguments);
        spec["process"]!["capabilities"] = new JsonObject
        {
            ["bounding"] = Array(Capabilities), ["effective"] = Array(Capabilities), ["permitted"] = Array(Capabilities),
        };
        spec["root"] = new JsonObject { ["path"] = rootfs };
        spec["linux"]!["seccomp"] = Profile();
        return spec;
    }

    /// <summary>The profile of this machine's engines, in the form they hand it to a runtime for these capabilities.</summary>
    private static JsonObject Profile()
    {
        var profile = JsonNode.Parse(File.ReadAllText(EngineProfile))!;
        var calls = new JsonArray();
        foreach (var rule in profile["syscalls"]!.AsArray())
        {
            var needs = rule!["includes"]?["caps"]?.AsArray().Select(node => (string)node!) ?? [];
            var excludes = rule["excludes"]?["caps"]?.AsArray().Select(node => (string)node!) ?? [];
            var machines = rule["includes"]?["arches"]?.AsArray().Select(node => (string)node!).ToArray() ?? [];
            if (needs.Any(name => !Capabilities.Contains(name)) || excludes.Any(Capabilities.Contains)) continue;
            if (machines.Length > 0 && !machines.Contains("amd64")) continue;
            var call = new JsonObject { ["names"] = rule["names"]!.DeepClone(), ["action"] = rule["action"]!.DeepClone() };
            if (rule["args"] is JsonArray { Count: > 0 } conditions) call["args"] = conditions.DeepClone();
            if (rule["errnoRet"] is { } errno && (string?)rule["action"] == "SCMP_ACT_ERRNO") call["errnoRet"] = errno.DeepClone();
            calls.Add(call);
        }

        return new JsonObject
        {
            ["defaultAction"] = "SCMP_ACT_ERRNO",
            ["architectures"] = Array("SCMP_ARCH_X86_64", "SCMP_ARCH_X86", "SCMP_ARCH_X32"),
            ["syscalls"] = calls,
        };
    }

    private static JsonArray Array(params string[] values) => new([.. values.Select(value => JsonValue.Create(value))]);
}
