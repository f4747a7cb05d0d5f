using System.Diagnostics;
using Hull.RuntimeContract.Tests;
using Hull.Testing;

namespace Hull.RuntimeClients.Tests;

/// <summary>What the clients share: the runtime they are told to use, and a root file system to make an image of.</summary>
public abstract class ClientFixture : IDisposable
{
    protected ClientFixture(string prefix)
    {
        Require.Root();
        Temporary = new TemporaryDirectory(prefix);
        DissolveIdleHierarchy();
        Rootfs.CopyTo(Temporary["rootfs"]);
    }

    /// <summary>hull-runtime, or with HULL_CLIENT_RUNTIME another one as a check of the tests.</summary>
    protected static string Runtime { get; } =
        Environment.GetEnvironmentVariable("HULL_CLIENT_RUNTIME") ?? Repository.Executable("hull-runtime");

    protected TemporaryDirectory Temporary { get; }

    protected Process? Daemon { get; set; }

    /// <summary>
    /// crun's tests hold a v1 hugetlb hierarchy for a while. One that lives on without a mount, because a cgroup in it was
    /// left, makes containerd give up on the metrics of every container: it looks for the mount of each line of
    /// /proc/PID/cgroup. What is empty is removed; the second mount and unmount lets the kernel drop the hierarchy.
    /// </summary>
    private void DissolveIdleHierarchy()
    {
        if (!File.ReadAllText("/proc/self/cgroup").Contains(":hugetlb:", StringComparison.Ordinal)) return;
        if (File.ReadAllText("/proc/self/mounts").Contains("hugetlb", StringComparison.Ordinal)) return;
        var place = Directory.CreateDirectory(Temporary["hugetlb"]).FullName;
        Command.Shell($"for i in 1 2; do mount -t cgroup -o hugetlb cgroup {place} || exit; " +
            $"find {place} -mindepth 1 -depth -type d -exec rmdir {{}} + 2>/dev/null; umount {place}; sleep 0.3; done");
    }

    /// <summary>A directory of the host with a file that says "shared".</summary>
    internal string MakeShared()
    {
        File.WriteAllText(Path.Combine(Directory.CreateDirectory(Temporary["shared"]).FullName, "file"), "shared");
        return Temporary["shared"];
    }

    /// <summary>Starts a daemon with its output in a file, and waits until a command of its client succeeds.</summary>
    protected void StartDaemon(string program, string[] arguments, Func<CommandResult> ping)
    {
        var log = Temporary["daemon.log"];
        var start = new ProcessStartInfo("/bin/sh");
        foreach (var argument in (string[])["-c", $"exec \"$@\" >{log} 2>&1 </dev/null", "sh", program, .. arguments]) start.ArgumentList.Add(argument);
        Daemon = Process.Start(start)!;
        for (var i = 0; i < 300; i++)
        {
            if (ping().ExitCode == 0) return;
            if (Daemon.HasExited) break;
            Thread.Sleep(100);
        }

        throw new InvalidOperationException($"{program} does not answer: {File.ReadAllText(log)}");
    }

    public virtual void Dispose()
    {
        if (Daemon is not null)
        {
            Command.Run("kill", Daemon.Id.ToString());
            if (!Daemon.WaitForExit(20_000)) Daemon.Kill(entireProcessTree: true);
        }

        // Storage drivers of the clients leave their own mounts below their directories.
        foreach (var line in File.ReadLines("/proc/self/mounts").Reverse().Where(line => line.Contains(Temporary.Path)).ToArray())
        {
            Command.Run("umount", "-l", line.Split(' ')[1]);
        }

        Temporary.Dispose();
        GC.SuppressFinalize(this);
    }
}
