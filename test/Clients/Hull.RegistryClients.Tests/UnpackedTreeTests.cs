using Hull.Testing;

namespace Hull.RegistryClients.Tests;

/// <summary>An image that went through the registry unpacks to the tree that umoci makes of it: modes, owners, times, links, attributes.</summary>
public sealed class UnpackedTreeTests
{
    /// <summary>One line per file with all that must be the same; the root's own time is the unpacker's.</summary>
    private const string List = """
        cd "$1" && find . -mindepth 1 \( -type f -printf '%p %y %m %U:%G %s %T@ %n\n' -o -type l -printf '%p %y %U:%G %l\n' -o -printf '%p %y %m %U:%G %T@\n' \) | sort
        getfattr -hRd -m - --absolute-names . 2> /dev/null | sort
        """;

    [Fact]
    public void HullAndUmociAgree()
    {
        Require.Root();
        Require.Program("umoci");
        Require.Program("skopeo");
        var hull = Repository.Executable("hull");
        using var directory = new TemporaryDirectory("hullreg");
        using var registry = RegistryProcess.Hull();
        try
        {
            Shell($"""
                mkdir -p {directory["tree"]}/sub/deep && cd {directory["tree"]} && echo hello > file && ln file hard && ln -s file soft && ln -s /no/where dangling
                cp /bin/true suid && chmod 4755 suid && chown 1234:4321 sub/deep && chmod 1777 sub && touch -d @1000000000 file && touch -h -d @1100000000 soft
                setfattr -n user.colour -v blue file; setcap cap_net_raw+ep suid || true; mkfifo pipe; mknod device c 1 3; truncate -s 1M sparse; find . -newermt 2020-01-01 -print0 | xargs -0 touch -h -d @1200000000.5
                tar --xattrs --xattrs-include='*' --numeric-owner --format=pax -cf {directory["tree.tar"]} .
                {hull} import --root {directory["hull"]} {directory["tree.tar"]} special:v1
                {hull} push --root {directory["hull"]} -q special:v1 {registry.Address}/x/special:v1
                {hull} pull --root {directory["other"]} -q {registry.Address}/x/special:v1
                mkdir {directory["ours"]} && {hull} image export --root {directory["other"]} {registry.Address}/x/special:v1 | tar -x --delay-directory-restore --xattrs --xattrs-include='*' --numeric-owner -p -C {directory["ours"]}
                skopeo copy -q --src-tls-verify=false docker://{registry.Address}/x/special:v1 oci:{directory["oci"]}:v1
                umoci unpack --image {directory["oci"]}:v1 {directory["bundle"]}
                """);
            Assert.Equal(Shell(List, directory["bundle/rootfs"]), Shell(List, directory["ours"]));
        }
        finally
        {
            Command.Shell($"awk -v d='{directory.Path}/' 'index($5, d) == 1 {{ print $5 }}' /proc/self/mountinfo | sort -r | xargs -r umount");
        }
    }

    private static string Shell(string script, params string[] arguments) =>
        Command.Run("/bin/sh", ["-ec", script, "sh", .. arguments], null, TimeSpan.FromMinutes(2)).Ok().Output;
}
