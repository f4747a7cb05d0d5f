using Hull.Testing;

namespace Hull.EngineClients.Tests;

/// <summary>An image made of the machine's own static busybox, which costs nothing to have.</summary>
internal static class Busybox
{
    private const string Applets = "sh echo cat ls sleep true false id ps env touch seq";

    public static void Import(Func<string[], CommandResult> docker, string work)
    {
        var root = Path.Combine(work, "root");
        var busybox = Require.Program("busybox");
        Command.Shell($"mkdir -p {root}/bin {root}/etc {root}/tmp && cp {busybox} {root}/bin/busybox && for a in {Applets}; do ln -s busybox {root}/bin/$a; done"
            + $" && echo root:x:0:0:root:/:/bin/sh > {root}/etc/passwd && echo root:x:0: > {root}/etc/group && tar -C {root} -cf {root}.tar .").Ok();
        docker(["import", root + ".tar", "busybox:latest"]).Ok();
    }
}
