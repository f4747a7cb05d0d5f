using Hull.Testing;

namespace Hull.RegistryClients.Tests;

/// <summary>An image that went through the registry unpacks to the tree that umoci makes of it: modes, owners, times, links, attributes.</summary>
public sealed class UnpackedTreeTests
{
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
            SpecialTree.Archive(directory["tree.tar"]);
            SpecialTree.Shell($"""
                {hull} import --root {directory["hull"]} {directory["tree.tar"]} special:v1
                {hull} push --root {directory["hull"]} -q special:v1 {registry.Address}/x/special:v1
                {hull} pull --root {directory["other"]} -q {registry.Address}/x/special:v1
                mkdir {directory["ours"]} && {hull} image export --root {directory["other"]} {registry.Address}/x/special:v1 | tar -x --delay-directory-restore --xattrs --xattrs-include='*' --numeric-owner -p -C {directory["ours"]}
                skopeo copy -q --src-tls-verify=false docker://{registry.Address}/x/special:v1 oci:{directory["oci"]}:v1
                umoci unpack --image {directory["oci"]}:v1 {directory["bundle"]}
                """);
            Assert.Equal(SpecialTree.List(directory["bundle/rootfs"]), SpecialTree.List(directory["ours"]));
        }
        finally
        {
            Command.Shell($"awk -v d='{directory.Path}/' 'index($5, d) == 1 {{ print $5 }}' /proc/self/mountinfo | sort -r | xargs -r umount");
        }
    }
}
