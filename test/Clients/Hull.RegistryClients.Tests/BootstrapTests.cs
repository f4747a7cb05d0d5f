using Hull.Core;
using Hull.Images.Bootstrap;
using Hull.Images.Content;
using Hull.Oci.Image;
using Hull.Testing;

namespace Hull.RegistryClients.Tests;

public sealed class BootstrapTests
{
    [Fact]
    public async Task BusyboxHasTheSameDigestEveryTime()
    {
        Require.Program("apt-get");
        using var first = new TemporaryDirectory();
        using var second = new TemporaryDirectory();
        var one = await BuildAsync(first);
        var two = await BuildAsync(second);
        Assert.Equal(one.Digest, two.Digest);

        var store = ContentStore.Open(first["store"]);
        var manifest = store.ReadDocument(store.References.Find("docker.io/library/busybox:latest")!).Manifest!;
        Assert.StartsWith("busybox-static", manifest.Annotations![ImageBootstrap.PackagesAnnotation]);
        Assert.Equal("linux", store.ReadConfig(manifest.Config).Os);
    }

    [Theory]
    [InlineData("nosuch")]
    [InlineData("debian:../x")]
    [InlineData("quay.io/x/debian:bookworm")]
    public async Task UnknownNamesAreRefusedAndNothingIsLeft(string name)
    {
        using var directory = new TemporaryDirectory();
        var store = ContentStore.Open(directory["store"]);
        await Assert.ThrowsAsync<HullException>(() => new ImageBootstrap(store, directory["work"]).BuildAsync(name));
        Assert.Empty(store.Blobs());
        Assert.Empty(store.References.List());
    }

    private static async Task<Descriptor> BuildAsync(TemporaryDirectory directory) =>
        await new ImageBootstrap(ContentStore.Open(directory["store"]), directory["work"]).BuildAsync("busybox");
}
