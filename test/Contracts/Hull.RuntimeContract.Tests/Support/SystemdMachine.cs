using System.Diagnostics;
using Hull.Testing;

namespace Hull.RuntimeContract.Tests;

/// <summary>
/// A real systemd that manages cgroups of its own: process 1 of new pid, mount and cgroup namespaces with nothing to start.
/// No message bus runs there; systemd's private socket is spoken to.
/// </summary>
internal sealed class SystemdMachine : IDisposable
{
    private const string Program = "/lib/systemd/systemd";

    /// <summary>The cgroup of the caller in each hierarchy is the root of the machine's.</summary>
    private const string Script = """
        hierarchies=/sys/fs/cgroup
        [ -f /sys/fs/cgroup/cgroup.controllers ] || hierarchies=$(echo /sys/fs/cgroup/*)
        for hierarchy in $hierarchies; do
            [ -f "$hierarchy/cgroup.procs" ] || continue
            mkdir -p "$hierarchy$1"
            for file in cpuset.cpus cpuset.mems; do [ ! -f "$hierarchy/$file" ] || cat "$hierarchy/$file" > "$hierarchy$1/$file" 2>/dev/null; done
            echo $$ > "$hierarchy$1/cgroup.procs"
        done
        exec unshare -C -m -p -f --kill-child --propagation private sh -c '
            mount -t proc proc /proc
            mount -t tmpfs tmpfs /run && mkdir -p /run/systemd/system /run/lock
            if [ -f /sys/fs/cgroup/cgroup.controllers ]; then
                umount -l /sys/fs/cgroup; mount -t cgroup2 cgroup2 /sys/fs/cgroup
            else
                names=$(cd /sys/fs/cgroup && for name in *; do [ ! -f "$name/cgroup.clone_children" ] || echo "$name"; done)
                umount -l /sys/fs/cgroup; mount -t tmpfs tmpfs /sys/fs/cgroup
                for name in $names; do
                    mkdir "/sys/fs/cgroup/$name"
                    if [ "$name" = systemd ]; then mount -t cgroup -o none,name=systemd cgroup /sys/fs/cgroup/systemd; else mount -t cgroup -o "$name" cgroup "/sys/fs/cgroup/$name"; fi
                done
                mkdir -p /sys/fs/cgroup/unified; mount -t cgroup2 cgroup2 /sys/fs/cgroup/unified
            fi
            printf "[Unit]\nDefaultDependencies=no\n" > /run/systemd/system/hull.target
            container=hull exec "$0" --system --unit=hull.target --log-target=null --show-status=no
            ' "$2"
        """;

    private readonly Process _process;
    private readonly int _init;
    private readonly string _cgroup = ControlGroups.Parent + "-systemd";

    internal SystemdMachine()
    {
        Require.Root();
        Require.That(File.Exists(Program), "needs systemd; eng/deps.sh installs it");
        Require.That(ControlGroups.IsV2 || Directory.Exists("/sys/fs/cgroup/systemd"), "needs cgroup v2 or the hierarchy name=systemd");
        var start = new ProcessStartInfo("sh") { RedirectStandardInput = true, RedirectStandardOutput = true, RedirectStandardError = true };
        foreach (var argument in (string[])["-c", Script, "sh", _cgroup, Program]) start.ArgumentList.Add(argument);
        _process = Process.Start(start)!;
        _init = FindInit();
        // unshare is in the cgroup that systemd has for its root, and in v2 one with a process hands no controller on.
        if (ControlGroups.IsV2) File.WriteAllText(ControlGroups.Root + "/cgroup.procs", _process.Id.ToString());
        for (var i = 0; i < 1000 && Run("systemctl", "is-system-running").ExitCode > 1; i++) Thread.Sleep(10);
    }

    /// <summary>Runs a program among the machine's, with the host's files but its /run and cgroups.</summary>
    internal CommandResult Run(params string[] arguments) =>
        Command.Run("nsenter", ["-t", _init.ToString(), "-m", "-p", "-C", "--", .. arguments], null, TimeSpan.FromSeconds(60));

    public void Dispose()
    {
        Command.Run("kill", "-KILL", _init.ToString());
        _process.WaitForExit(10_000);
        _process.Dispose();
        foreach (var hierarchy in ControlGroups.Existing(_cgroup).ToArray())
        {
            foreach (var directory in Directory.GetDirectories(hierarchy, "*", SearchOption.AllDirectories).OrderByDescending(path => path.Length).Append(hierarchy))
            {
                for (var i = 0; i < 100 && Command.Run("rmdir", directory).ExitCode != 0 && Directory.Exists(directory); i++) Thread.Sleep(20);
            }
        }
    }

    /// <summary>The child of unshare, which is process 1 of the new namespace.</summary>
    private int FindInit()
    {
        for (var i = 0; i < 1000; i++)
        {
            var path = $"/proc/{_process.Id}/task/{_process.Id}/children";
            if (File.Exists(path) && File.ReadAllText(path).Split(' ', StringSplitOptions.RemoveEmptyEntries) is [var child, ..]
                && NameOf(child) == "systemd" && File.Exists($"/proc/{child}/root/run/systemd/private"))
                return int.Parse(child);
            if (_process.HasExited) break;
            Thread.Sleep(10);
        }

        throw new InvalidOperationException("systemd does not start in namespaces of its own: " + (_process.HasExited ? _process.StandardError.ReadToEnd() : "it makes no socket"));
    }

    /// <summary>The name of a process that may be gone by now.</summary>
    private static string NameOf(string pid)
    {
        try
        {
            return File.ReadAllText($"/proc/{pid}/comm").Trim();
        }
        catch (IOException)
        {
            return "";
        }
    }
}
