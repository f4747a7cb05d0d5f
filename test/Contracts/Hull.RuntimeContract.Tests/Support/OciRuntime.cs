using Hull.Testing;

namespace Hull.RuntimeContract.Tests;

/// <summary>A runtime program under test.</summary>
public sealed record OciRuntime(string Name, string Path)
{
    public static string[] All { get; } = ["hull-runtime", "runc", "crun"];

    public bool IsHull => Name == "hull-runtime";

    public static OciRuntime Find(string name)
    {
        Require.Root();
        if (name == "hull-runtime") return new OciRuntime(name, Repository.Executable(name));
        var path = Require.Program(name);
        if (name == "crun") CrunHierarchy.Ensure();
        return new OciRuntime(name, path);
    }
}

/// <summary>
/// crun refuses a machine whose v2 hierarchy beside v1 has a controller. Where hugetlb is the one, it is taken away by a v1
/// hierarchy that lives in the mount namespace of a helper, for as long as this test process has the helper's input open.
/// </summary>
internal static class CrunHierarchy
{
    private const string Place = "/sys/fs/cgroup/hugetlb";
    private const string HybridControllers = "/sys/fs/cgroup/unified/cgroup.controllers";
    private static readonly Lock Gate = new();
    private static System.Diagnostics.Process? helper;

    internal static void Ensure()
    {
        lock (Gate)
        {
            if (helper is not null || !File.Exists(HybridControllers) || !File.ReadAllText(HybridControllers).Contains("hugetlb")) return;
            Directory.CreateDirectory(Place);
            var start = new System.Diagnostics.ProcessStartInfo("unshare") { RedirectStandardInput = true };
            foreach (var argument in (string[])["-m", "--propagation", "private", "sh", "-c", $"mount -t cgroup -o hugetlb cgroup {Place}; read line"])
            {
                start.ArgumentList.Add(argument);
            }

            helper = System.Diagnostics.Process.Start(start);
            for (var i = 0; i < 500 && File.ReadAllText(HybridControllers).Contains("hugetlb"); i++) Thread.Sleep(10);
        }
    }

    internal static void Release()
    {
        if (helper is null) return;
        helper.StandardInput.Close();
        helper.WaitForExit();
        // Without the mount crun wrote plain files and directories there.
        if (Directory.Exists(Place) && !File.Exists(Place + "/release_agent")) Command.Run("rm", "-rf", "--one-file-system", Place);
    }
}

/// <summary>Ends what the whole run of tests shares.</summary>
public sealed class SharedResources : IDisposable
{
    public void Dispose()
    {
        CrunHierarchy.Release();
        Rootfs.RemoveTemplate();
        ControlGroups.RemoveParent();
    }
}
