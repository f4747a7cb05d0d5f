using System.Security.Cryptography;
using System.Text.Json;
using Hull.Oci.Runtime;
using Hull.Runtime.Specs;
using Hull.Testing;

namespace Hull.Runtime.Tests.Attacks;

/// <summary>The bugs other runtimes shipped, attempted against this one.</summary>
public sealed class AttackTests : IDisposable
{
    private readonly TemporaryDirectory _temporary = new("hull-attack");
    private readonly string _id = "hull-attack-" + Guid.NewGuid().ToString("N")[..12];

    public AttackTests()
    {
        Require.Root();
        var busybox = Require.Program("busybox");
        foreach (var name in (string[])["bin", "dev", "proc", "sys", "tmp", "etc"]) Directory.CreateDirectory(_temporary["rootfs/" + name]);
        Repository.CopyProgram(busybox, _temporary["rootfs/bin/busybox"]);
        foreach (var name in (string[])["sh", "id", "cat", "sleep", "readlink", "true", "pwd", "grep"]) File.CreateSymbolicLink(_temporary["rootfs/bin/" + name], "busybox");
    }

    public void Dispose()
    {
        Run("delete", "--force", _id);
        _temporary.Dispose();
    }

    /// <summary>CVE-2024-21626: a working directory that is a descriptor the runtime left open.</summary>
    [Fact]
    public void A_leaked_descriptor_is_no_working_directory()
    {
        for (var number = 3; number < 12; number++)
        {
            var result = RunContainer(spec => spec with { Process = spec.Process! with { Cwd = $"/proc/self/fd/{number}", Args = ["sh", "-c", "cat /proc/self/cwd/etc/hostname; pwd"] } });
            Assert.NotEqual(0, result.ExitCode);
            Run("delete", "--force", _id);
        }
    }

    /// <summary>CVE-2019-5736: root in the container, seeing the runtime's processes, writes to their executable.</summary>
    [Fact]
    public void The_runtime_cannot_be_overwritten()
    {
        var runtime = _temporary["hull-runtime"];
        Repository.CopyProgram(Repository.Executable("hull-runtime"), runtime);
        var before = Hash(runtime);
        const string attack = """
            while true; do for p in /proc/[0-9]*; do case "$(readlink $p/exe 2>/dev/null)" in *hull-runtime*) (echo x > $p/exe) 2>/dev/null && echo OVERWRITTEN > /tmp/done;; esac; done; done
            """;
        WriteBundle(spec => AsPowerful(spec) with
        {
            Process = AsPowerful(spec).Process! with { Args = ["sh", "-c", attack] },
            Root = spec.Root! with { Readonly = false },
            Linux = AsPowerful(spec).Linux! with { Namespaces = [.. spec.Linux!.Namespaces!.Where(entry => entry.Type != "pid")] },
        });
        Command.Run(runtime, ["--root", _temporary["state"], "run", "--detach", "--bundle", _temporary.Path, _id], null, TimeSpan.FromSeconds(30)).Ok();
        for (var i = 0; i < 10; i++) Command.Run(runtime, "--root", _temporary["state"], "exec", _id, "/bin/true").Ok();
        Command.Run(runtime, "--root", _temporary["state"], "delete", "--force", _id).Ok();
        Assert.Equal(before, Hash(runtime));
        Assert.False(File.Exists(_temporary["rootfs/tmp/done"]));
    }

    /// <summary>CVE-2025-31133: an image whose /dev/null leads into the host's procfs, which is then mounted over masked paths.</summary>
    [Fact]
    public void A_null_device_of_the_image_is_not_believed()
    {
        File.CreateSymbolicLink(_temporary["rootfs/dev/null"], "/proc/sys/kernel/core_pattern");
        var result = RunContainer(spec => spec with
        {
            Mounts = [.. spec.Mounts!.Where(mount => !mount.Destination!.StartsWith("/dev", StringComparison.Ordinal))],
            Process = spec.Process! with { Args = ["cat", "/proc/keys"] },
        });
        Assert.NotEqual(0, result.ExitCode);
        Assert.Contains("/dev/null", result.Error);
    }

    /// <summary>CVE-2019-19921, CVE-2023-27561: /proc is a link, so that labels and sysctls land in a fake.</summary>
    [Fact]
    public void A_proc_that_is_a_link_is_refused()
    {
        Directory.Delete(_temporary["rootfs/proc"]);
        Directory.CreateDirectory(_temporary["rootfs/fake"]);
        File.CreateSymbolicLink(_temporary["rootfs/proc"], "fake");
        var result = RunContainer(spec => spec);
        Assert.NotEqual(0, result.ExitCode);
        Assert.Contains("/proc", result.Error);
    }

    /// <summary>CVE-2019-16884: a volume mounted over a file of /proc that the runtime writes to.</summary>
    [Theory]
    [InlineData("/proc/self/attr")]
    [InlineData("/proc")]
    [InlineData("/link/self")]
    public void Nothing_is_mounted_over_proc(string destination)
    {
        File.CreateSymbolicLink(_temporary["rootfs/link"], "/proc");
        var result = RunContainer(spec => spec with
        {
            Mounts = [.. spec.Mounts!, new MountSpec { Destination = destination, Type = "bind", Source = _temporary.Path, Options = ["bind"] }],
        });
        Assert.NotEqual(0, result.ExitCode);
    }

    /// <summary>CVE-2016-9962, CVE-2022-29162, CVE-2022-36109: no inheritable capability, no group of the caller.</summary>
    [Fact]
    public void No_inheritable_capability_and_no_group_of_the_caller_is_left()
    {
        var result = RunContainer(spec => spec with { Process = spec.Process! with { Args = ["sh", "-c", "grep -E 'CapInh|Groups|NoNewPrivs' /proc/self/status"] } });
        Assert.Equal(0, result.ExitCode);
        Assert.Matches(@"Groups:\s*0?\s*\n", result.Output);
        Assert.Contains("CapInh:\t0000000000000000", result.Output);
        Assert.Contains("NoNewPrivs:\t1", result.Output);
    }

    /// <summary>
    /// A mount namespace that was made inside a chroot has the outer root: a further process must not land there.
    /// </summary>
    [Theory, InlineData(""), InlineData("--no-pivot")]
    public void A_further_process_never_sees_the_root_outside_a_chroot(string option)
    {
        File.WriteAllText(_temporary["rootfs/marker"], "inside");
        WriteBundle(spec => spec with { Process = spec.Process! with { Args = ["sleep", "100"] } });
        var jail = Directory.CreateDirectory(_temporary["jail"]).FullName;
        const string script = """
            mount --rbind / "$1" || exit 90
            chroot "$1" "$2" --root "$3" run $6 --detach --bundle "$4" "$5" < /dev/null > /dev/null 2>&1 || exit 91
            chroot "$1" "$2" --root "$3" exec "$5" cat /marker
            "$2" --root "$3" exec "$5" cat /marker
            """;
        var result = Command.Run("unshare",
            ["-m", "--propagation", "private", "sh", "-c", script, "sh", jail, Repository.Executable("hull-runtime"), _temporary["state"], _temporary.Path, _id, option],
            null, TimeSpan.FromSeconds(30));
        Assert.Equal("insideinside", result.Ok().Output);
    }

    /// <summary>A program that confines itself, as daemons do, does not confine what is started beside it.</summary>
    [Fact]
    public void A_further_process_is_not_in_the_chroot_of_init()
    {
        Directory.CreateDirectory(_temporary["rootfs/tmp/empty"]);
        Repository.CopyProgram(_temporary["rootfs/bin/busybox"], _temporary["rootfs/tmp/empty/busybox"]);
        File.CreateSymbolicLink(_temporary["rootfs/bin/chroot"], "busybox");
        WriteBundle(spec => AsPowerful(spec) with { Process = AsPowerful(spec).Process! with { Args = ["chroot", "/tmp/empty", "/busybox", "sleep", "100"] } });
        Run("run", "--detach", "--bundle", _temporary.Path, _id).Ok();
        Assert.Equal("/", Run("exec", _id, "sh", "-c", "cat /proc/self/cwd/etc/none 2>/dev/null; readlink /proc/self/root").Ok().Trimmed);
    }

    /// <summary>What this machine lets root have: more cannot be given to a container.</summary>
    private static List<string> Held
    {
        get
        {
            var line = File.ReadLines("/proc/self/status").First(line => line.StartsWith("CapBnd:", StringComparison.Ordinal));
            var mask = Convert.ToUInt64(line[7..].Trim(), 16);
            return [.. CapabilityTable.Names.Where((_, number) => ((mask >> number) & 1) != 0)];
        }
    }

    private static Spec AsPowerful(Spec spec) => spec with
    {
        Process = spec.Process! with
        {
            Capabilities = new CapabilitiesSpec
            {
                Bounding = Held, Effective = Held, Permitted = Held,
            },
        },
    };

    private CommandResult RunContainer(Func<Spec, Spec> change)
    {
        WriteBundle(change);
        return Run("run", "--bundle", _temporary.Path, _id);
    }

    private void WriteBundle(Func<Spec, Spec> change)
    {
        var spec = DefaultSpec.Create();
        spec = change(spec with { Process = spec.Process! with { Terminal = false, Args = ["true"] } });
        File.WriteAllBytes(_temporary["config.json"], JsonSerializer.SerializeToUtf8Bytes(spec, RuntimeJson.Default.Spec));
    }

    private CommandResult Run(params string[] arguments) =>
        Command.Run(Repository.Executable("hull-runtime"), ["--root", _temporary["state"], .. arguments], null, TimeSpan.FromSeconds(30));

    private static string Hash(string path) => Convert.ToHexString(SHA256.HashData(File.ReadAllBytes(path)));
}
