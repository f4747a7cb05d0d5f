using System.Text.Json;
using Hull.Core;

namespace Hull.Registry.Tests;

/// <summary>The discovery and management categories of the distribution-spec 1.1, and garbage collection.</summary>
public sealed class DiscoveryTests
{
    private static string[] Names(Answer answer, string member) =>
        [.. JsonDocument.Parse(answer.Body).RootElement.GetProperty(member).EnumerateArray().Select(entry => entry.GetString()!)];

    [Fact]
    public async Task TagsAreSortedAndPaged()
    {
        using var registry = new RegistryFixture();
        foreach (var tag in (string[])["b", "a", "C", "v1.10", "v1.9"]) await registry.PushImageAsync("a/b", tag, "same");
        Assert.Equal(["C", "a", "b", "v1.10", "v1.9"], Names(await registry.SendAsync("GET", "/v2/a/b/tags/list"), "tags"));

        var page = await registry.SendAsync("GET", "/v2/a/b/tags/list?n=2");
        Assert.Equal(["C", "a"], Names(page, "tags"));
        var next = page.Header("Link");
        Assert.StartsWith("</v2/a/b/tags/list?n=2&last=a>", next);
        var last = await registry.SendAsync("GET", "/v2/a/b/tags/list?n=9&last=a");
        Assert.Equal(["b", "v1.10", "v1.9"], Names(last, "tags"));
        Assert.Null(last.Headers["Link"]);
        Assert.Empty(Names(await registry.SendAsync("GET", "/v2/a/b/tags/list?n=0"), "tags"));
        Assert.Equal(404, (await registry.SendAsync("GET", "/v2/nosuch/tags/list")).Status);
    }

    [Fact]
    public async Task TheCatalogListsRepositories()
    {
        using var registry = new RegistryFixture();
        foreach (var name in (string[])["x", "a/b", "a/b/c"]) await registry.PushImageAsync(name, "t", "same");
        Assert.Equal(["a/b", "a/b/c", "x"], Names(await registry.SendAsync("GET", "/v2/_catalog"), "repositories"));
    }

    [Fact]
    public async Task ReferrersAreListedAndFiltered()
    {
        using var registry = new RegistryFixture();
        var subject = (await registry.PushImageAsync("a", "image", "image")).ToString();
        var signature = await registry.PushImageAsync("a", "s1", "signature", subject, "application/x-signature");
        var sbom = await registry.PushImageAsync("a", "s2", "sbom", subject, "application/x-sbom");

        var all = await registry.SendAsync("GET", "/v2/a/referrers/" + subject);
        Assert.Equal("application/vnd.oci.image.index.v1+json", all.Header("Content-Type"));
        Assert.Equal(new[] { sbom, signature }.Select(digest => digest.ToString()).Order(), Digests(all).Order());

        var some = await registry.SendAsync("GET", "/v2/a/referrers/" + subject + "?artifactType=application%2Fx-sbom");
        Assert.Equal([sbom.ToString()], Digests(some));
        Assert.Equal("artifactType", some.Header("OCI-Filters-Applied"));

        Assert.Equal(202, (await registry.SendAsync("DELETE", $"/v2/a/manifests/{sbom}")).Status);
        Assert.Equal([signature.ToString()], Digests(await registry.SendAsync("GET", "/v2/a/referrers/" + subject)));
        Assert.Empty(Digests(await registry.SendAsync("GET", "/v2/a/referrers/" + Digest.Sha256("nosuch"u8))));
    }

    [Fact]
    public async Task TagsManifestsAndBlobsAreDeleted()
    {
        using var registry = new RegistryFixture();
        var digest = await registry.PushImageAsync("a", "one", "x");
        await registry.PushImageAsync("a", "two", "x");
        Assert.Equal(202, (await registry.SendAsync("DELETE", "/v2/a/manifests/one")).Status);
        Assert.Equal(404, (await registry.SendAsync("GET", "/v2/a/manifests/one")).Status);
        Assert.Equal(200, (await registry.SendAsync("GET", "/v2/a/manifests/two")).Status);

        Assert.Equal(202, (await registry.SendAsync("DELETE", $"/v2/a/manifests/{digest}")).Status);
        Assert.Equal(404, (await registry.SendAsync("GET", "/v2/a/manifests/two")).Status);
        Assert.Equal(404, (await registry.SendAsync("DELETE", $"/v2/a/manifests/{digest}")).Status);

        var blob = await registry.PushBlobAsync("a", "blob"u8.ToArray());
        Assert.Equal(202, (await registry.SendAsync("DELETE", $"/v2/a/blobs/{blob}")).Status);
        Assert.Equal(404, (await registry.SendAsync("GET", $"/v2/a/blobs/{blob}")).Status);
        Assert.Equal(404, (await registry.SendAsync("DELETE", $"/v2/a/blobs/{blob}")).Status);
    }

    [Fact]
    public async Task GarbageGoesAndNothingElse()
    {
        using var registry = new RegistryFixture();
        var kept = await registry.PushImageAsync("a", "kept", "kept");
        var gone = await registry.PushImageAsync("b", "gone", "gone");
        var loose = await registry.PushBlobAsync("a", "loose"u8.ToArray());
        await registry.SendAsync("DELETE", $"/v2/b/manifests/{gone}");

        // Young content stays: a push sends its blobs before its manifest.
        Assert.Equal(0, (await registry.Service.Collector.RunAsync(TimeSpan.FromHours(1))).Blobs);
        Assert.Equal(200, (await registry.SendAsync("HEAD", $"/v2/a/blobs/{loose}")).Status);

        var result = await registry.Service.Collector.RunAsync(TimeSpan.Zero - TimeSpan.FromSeconds(1));
        Assert.Equal(4, result.Blobs);
        Assert.Equal(404, (await registry.SendAsync("HEAD", $"/v2/a/blobs/{loose}")).Status);
        var manifest = JsonDocument.Parse((await registry.SendAsync("GET", $"/v2/a/manifests/{kept}")).Body).RootElement;
        var layer = manifest.GetProperty("layers")[0].GetProperty("digest").GetString();
        Assert.Equal(200, (await registry.SendAsync("GET", $"/v2/a/blobs/{layer}")).Status);
        Assert.Equal(0, (await registry.Service.Collector.RunAsync(TimeSpan.Zero - TimeSpan.FromSeconds(1))).Blobs);
    }

    private static string[] Digests(Answer answer) =>
        [.. JsonDocument.Parse(answer.Body).RootElement.GetProperty("manifests").EnumerateArray().Select(entry => entry.GetProperty("digest").GetString()!)];
}
