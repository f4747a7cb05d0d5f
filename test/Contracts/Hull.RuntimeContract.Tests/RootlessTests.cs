using Hull.Testing;

namespace Hull.RuntimeContract.Tests;

/// <summary>The runtime as an ordinary user, who has nothing but a user namespace.</summary>
public sealed class RootlessTests
{
    private const string User = "65534";

    [Theory, Runtimes]
    public void TheUserIsRootInside(string runtime)
    {
        using var container = Prepare(runtime);
        Assert.Equal("0 0 /", RunAsUser(container, "echo $(id -u) $(id -g) $(pwd)").Ok().Trimmed);
    }

    [Theory, Runtimes]
    public void TmpcopyupKeepsTheContent(string runtime)
    {
        using var container = Prepare(runtime);
        File.WriteAllText(container.InRootfs("etc/mine"), "kept");
        Directory.CreateDirectory(container.InRootfs("etc/deep/er"));
        File.WriteAllText(container.InRootfs("etc/deep/er/file"), "deep");
        Own(container);
        container.Spec.Mount("/etc", "tmpfs", "tmpfs", "tmpcopyup");
        Assert.Equal("kept deep tmpfs", RunAsUser(container, "echo $(cat /etc/mine) $(cat /etc/deep/er/file) $(stat -f -c %T /etc); touch /etc/new").Ok().Trimmed);
        Assert.False(File.Exists(container.InRootfs("etc/new")));
    }

    [Theory, Runtimes(NotRunc = "it copies as who is root inside", NotCrun = "it copies as who is root inside")]
    public void TmpcopyupOfAnothersFilesIsRefused(string runtime)
    {
        using var container = Prepare(runtime);
        File.WriteAllText(container.InRootfs("etc/roots"), "");
        container.Spec.Mount("/etc", "tmpfs", "tmpfs", "tmpcopyup");
        var result = RunAsUser(container, "true");
        Assert.NotEqual(0, result.ExitCode);
        Assert.Contains("roots belongs to another user", result.Error);
    }

    [Theory, Runtimes(NotRunc = "1.1 maps in user namespaces only", NotCrun = "its options have another form")]
    public void AnIdMappedMountIsRefusedWithTheReason(string runtime)
    {
        using var container = Prepare(runtime);
        container.Spec.Mount("/data", container.MakeOutside("data"), "bind", "bind", "idmap");
        var result = RunAsUser(container, "true");
        Assert.NotEqual(0, result.ExitCode);
        Assert.Contains("maps the ids of a file system for its owner only", result.Error);
    }

    private static Container Prepare(string runtime)
    {
        var container = new Container(runtime);
        Require.That(Command.Run("setpriv", "--reuid", User, "--regid", User, "--clear-groups", "unshare", "-U", "true").ExitCode == 0, "ordinary users may make no user namespace here");
        container.Spec.Remove("linux.cgroupsPath").Remove("linux.resources")
            .Add("linux.namespaces", """{"type":"user"}""")
            .Set("linux.uidMappings", $$"""[{"containerID":0,"hostID":{{User}},"size":1}]""").Set("linux.gidMappings", $$"""[{"containerID":0,"hostID":{{User}},"size":1}]""");
        var devpts = container.Spec.Json["mounts"]!.AsArray().Single(mount => (string?)mount!["type"] == "devpts")!;
        devpts["options"]!.AsArray().RemoveAt(5);
        Own(container);
        return container;
    }

    private static void Own(Container container) => Command.Run("chown", "-R", $"{User}:{User}", Path.GetDirectoryName(container.Bundle)!).Ok();

    /// <summary>With a copy of the program, because a user need not reach the place it was built in.</summary>
    private static CommandResult RunAsUser(Container container, string script)
    {
        var program = container.Outside(container.Runtime.Name);
        if (!File.Exists(program)) Repository.CopyProgram(container.Runtime.Path, program);
        container.Spec.Script(script);
        container.WriteSpec();
        return Command.Run("setpriv", "--reuid", User, "--regid", User, "--clear-groups", program, "--root", container.StateRoot, "run", "--bundle", container.Bundle, container.Id);
    }
}
