using Hull.Testing;

namespace Hull.RuntimeContract.Tests;

/// <summary>Containers in user namespaces, made for them or joined, as engines have them.</summary>
public sealed class UserNamespaceTests
{
    private const string Users = """[{"containerID":0,"hostID":100000,"size":65536}]""";

    [Theory, Runtimes(NotRunc = "looks for the root as root of the namespace", NotCrun = "looks for the root as root of the namespace")]
    public void TheWayToTheBundleMayBeClosed(string runtime)
    {
        using var container = InUserNamespace(runtime);
        Command.Run("chmod", "700", Path.GetDirectoryName(container.Bundle)!).Ok();
        Assert.Equal("0 100000 65536", container.RunScript("echo $(cat /proc/self/uid_map)"));
    }

    [Theory, Runtimes]
    public void TheStandardStreamsCanBeOpenedByTheirNames(string runtime)
    {
        using var container = InUserNamespace(runtime);
        Assert.Equal("said", Command.Shell($"{Invocation(container)} | cat").Ok().Trimmed);

        static string Invocation(Container container)
        {
            container.Spec.Set("process.args", """["sh","-c","echo said > /dev/stdout"]""");
            container.WriteSpec();
            return $"'{container.Runtime.Path}' --root '{container.StateRoot}' run --bundle '{container.Bundle}' {container.Id}";
        }
    }

    [Theory, Runtimes(NotRunc = "1.1 does not set them for an exec in a user namespace", NotCrun = "has no limits of its own for an exec")]
    public void AnExecHasTheContainersLimitsAndScore(string runtime)
    {
        using var container = InUserNamespace(runtime);
        container.Spec.Set("process.rlimits", """[{"type":"RLIMIT_MSGQUEUE","soft":500000,"hard":500000}]""").Set("process.oomScoreAdj", "321");
        container.StartSleeping();
        Assert.Equal("Max msgqueue size 500000 500000 bytes 321 0", container.ExecScript("echo $(grep msgqueue /proc/self/limits) $(cat /proc/self/oom_score_adj) $(id -u)"));
    }

    private static Container InUserNamespace(string runtime)
    {
        var container = new Container(runtime);
        Command.Run("chown", "-R", "100000:100000", container.RootfsPath).Ok();
        Command.Run("chmod", "o+x", Path.GetDirectoryName(container.Bundle)!, container.Bundle).Ok();
        container.Spec.Add("linux.namespaces", """{"type":"user"}""").Set("linux.uidMappings", Users).Set("linux.gidMappings", Users);
        return container;
    }
}
