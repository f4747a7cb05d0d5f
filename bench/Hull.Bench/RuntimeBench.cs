using System.Text.Json.Nodes;

namespace Hull.Bench;

/// <summary>The scenarios of the runtime.</summary>
internal static class RuntimeBench
{
    private static readonly string Work = Directory.CreateTempSubdirectory("hull-bench-").FullName;
    private static readonly string CgroupParent = "/hull-bench-" + Environment.ProcessId;
    private static int number;

    private sealed record Contestant(string Name, string Path)
    {
        internal string Root { get; } = System.IO.Path.Combine(Work, "state-" + Name);

        internal double Call(params string[] arguments) => Child.Run(Path, ["--root", Root, .. arguments]);
    }

    internal static int Run(string hull, int rounds)
    {
        var contestants = new List<Contestant> { new("hull", hull) };
        foreach (var peer in (string[])["crun", "runc"])
        {
            var path = "/usr/sbin:/usr/bin".Split(':').Select(directory => Path.Combine(directory, peer)).FirstOrDefault(File.Exists);
            if (path is not null) contestants.Add(new Contestant(peer, path));
        }

        try
        {
            MakeBundle("true", ["/bin/true"]);
            MakeBundle("sleep", ["/bin/sleep", "100000"]);
            MeasureAll(contestants, rounds);
            return 0;
        }
        finally
        {
            foreach (var contestant in contestants) DeleteAll(contestant);
            RemoveCgroups();
            Directory.Delete(Work, recursive: true);
        }
    }

    private static void MeasureAll(List<Contestant> contestants, int rounds)
    {
        var names = contestants.Select(contestant => contestant.Name).ToArray();
        Pairs.Compare("run of /bin/true", "ms", rounds, names, index => RunTrue(contestants[index]));
        Pairs.Compare("create+start+delete", "ms", rounds, names, index => Cycle(contestants[index]));
        foreach (var contestant in contestants) contestant.Call("run", "--detach", "--bundle", Bundle("sleep", "exec"), "exec");
        Pairs.Compare("exec of /bin/true", "ms", rounds, names, index => contestants[index].Call("exec", "exec", "/bin/true"));
        foreach (var contestant in contestants) contestant.Call("delete", "--force", "exec");
        Pairs.Compare("100 runs in parallel", "ms", Math.Max(3, rounds / 15), names, index => Parallel(contestants[index], 100));
        Pairs.Compare("peak memory of run", "MiB", Math.Max(3, rounds / 10), names, index => Peak(contestants[index]));
        Pairs.Compare("memory per container", "MiB", Math.Max(3, rounds / 10), names, index => Resident(contestants[index]));
    }

    private static double RunTrue(Contestant contestant)
    {
        var id = NextId();
        return contestant.Call("run", "--bundle", Bundle("true", id), id);
    }

    private static double Peak(Contestant contestant)
    {
        var id = NextId();
        return Child.Peak(contestant.Path, "--root", contestant.Root, "run", "--bundle", Bundle("true", id), id);
    }

    private static double Cycle(Contestant contestant)
    {
        var id = NextId();
        var bundle = Bundle("true", id);
        var sum = contestant.Call("create", "--bundle", bundle, id) + contestant.Call("start", id);
        return sum + contestant.Call("delete", "--force", id);
    }

    private static double Parallel(Contestant contestant, int count)
    {
        var runs = Enumerable.Range(0, count).Select(_ => NextId())
            .Select(id => (string[])["--root", contestant.Root, "run", "--bundle", Bundle("true", id), id]).ToArray();
        return Child.RunAll(contestant.Path, runs);
    }

    /// <summary>What the kernel charges to the cgroup of a sleeping container: all that stays, since no runtime process does.</summary>
    private static double Resident(Contestant contestant)
    {
        var id = NextId();
        contestant.Call("run", "--detach", "--bundle", Bundle("sleep", id), id);
        Thread.Sleep(50);
        var v1 = $"/sys/fs/cgroup/memory{CgroupParent}/{id}/memory.usage_in_bytes";
        var usage = double.Parse(File.ReadAllText(File.Exists(v1) ? v1 : $"/sys/fs/cgroup{CgroupParent}/{id}/memory.current"));
        contestant.Call("delete", "--force", id);
        return usage / (1 << 20);
    }

    private static string NextId() => "b" + ++number;

    private static string Bundle(string kind, string id)
    {
        // A bundle of each container's own: only the cgroup differs.
        var bundle = Path.Combine(Work, "bundle-" + id);
        if (Directory.Exists(bundle)) return bundle;
        Directory.CreateDirectory(bundle);
        var config = JsonNode.Parse(File.ReadAllText(Path.Combine(Work, kind + ".json")))!;
        config["linux"]!["cgroupsPath"] = $"{CgroupParent}/{id}";
        File.WriteAllText(Path.Combine(bundle, "config.json"), config.ToJsonString());
        return bundle;
    }

    private static void MakeBundle(string kind, string[] arguments)
    {
        var rootfs = Path.Combine(Work, "rootfs");
        if (!Directory.Exists(rootfs))
        {
            foreach (var name in (string[])["bin", "dev", "proc", "sys", "etc", "tmp"]) Directory.CreateDirectory(Path.Combine(rootfs, name));
            File.Copy("/usr/bin/busybox", Path.Combine(rootfs, "bin/busybox"));
            foreach (var applet in (string[])["true", "sleep"]) File.CreateSymbolicLink(Path.Combine(rootfs, "bin", applet), "busybox");
        }

        File.WriteAllText(Path.Combine(Work, kind + ".json"), BenchSpec.Make(rootfs, arguments).ToJsonString());
    }

    private static void DeleteAll(Contestant contestant)
    {
        if (!Directory.Exists(contestant.Root)) return;
        foreach (var directory in Directory.GetDirectories(contestant.Root))
        {
            try
            {
                contestant.Call("delete", "--force", Path.GetFileName(directory));
            }
            catch (InvalidOperationException error)
            {
                Console.Error.WriteLine(error.Message);
            }
        }
    }

    private static void RemoveCgroups()
    {
        foreach (var hierarchy in Directory.GetDirectories("/sys/fs/cgroup").Prepend("/sys/fs/cgroup"))
        {
            var parent = hierarchy + CgroupParent;
            if (!Directory.Exists(parent)) continue;
            foreach (var child in Directory.GetDirectories(parent)) Directory.Delete(child);
            if (Directory.GetFiles(parent).Length == 0 || File.Exists(parent + "/cgroup.procs")) Directory.Delete(parent);
        }
    }
}
