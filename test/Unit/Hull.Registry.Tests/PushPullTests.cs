using System.Text;
using Hull.Core;

namespace Hull.Registry.Tests;

/// <summary>The pull and push categories of the distribution-spec 1.1, endpoint by endpoint.</summary>
public sealed class PushPullTests
{
    private static readonly byte[] Content = Encoding.UTF8.GetBytes("some content that is long enough to be cut into pieces");

    [Theory]
    [InlineData("GET")]
    [InlineData("HEAD")]
    public async Task TheBaseTellsThatThisIsARegistry(string method)
    {
        using var registry = new RegistryFixture();
        var answer = await registry.SendAsync(method, "/v2/");
        Assert.Equal(200, answer.Status);
        Assert.Equal("registry/2.0", answer.Header("Docker-Distribution-Api-Version"));
    }

    [Fact]
    public async Task ABlobComesBackAsItWasPushed()
    {
        using var registry = new RegistryFixture();
        var digest = await registry.PushBlobAsync("a/b", Content);
        var answer = await registry.SendAsync("GET", $"/v2/a/b/blobs/{digest}");
        Assert.Equal(200, answer.Status);
        Assert.Equal(Content, answer.Body);
        Assert.Equal(digest.ToString(), answer.Header("Docker-Content-Digest"));
        Assert.Equal(200, (await registry.SendAsync("HEAD", $"/v2/a/b/blobs/{digest}")).Status);
    }

    [Fact]
    public async Task ABlobIsSeenOnlyWhereItWasPushed()
    {
        using var registry = new RegistryFixture();
        var digest = await registry.PushBlobAsync("a/b", Content);
        var answer = await registry.SendAsync("GET", $"/v2/other/blobs/{digest}");
        Assert.Equal(404, answer.Status);
        Assert.Contains("BLOB_UNKNOWN", answer.Text);
    }

    [Fact]
    public async Task AManifestWaitsForTheDiskToHaveItsBlobs()
    {
        using var registry = new RegistryFixture();
        await registry.PushBlobAsync("a", Content);
        string Marks() => string.Join(' ', System.IO.Directory.GetFiles(Path.Combine(registry.Directory, "data", "unflushed")).Select(Path.GetFileName));
        Assert.Equal("sha256-" + Digest.Sha256(Content).Hex, Marks());
        await registry.PushImageAsync("a", "1", "salt");
        Assert.Equal("sha256-" + Digest.Sha256(Content).Hex, Marks());
        var manifest = RegistryFixture.Manifest(Content, Content);
        Assert.Equal(201, (await registry.SendAsync("PUT", "/v2/a/manifests/2", manifest, ("Content-Type", "application/vnd.oci.image.manifest.v1+json"))).Status);
        Assert.Equal("", Marks());
    }

    [Theory]
    [InlineData("bytes=0-3", 206, "some")]
    [InlineData("bytes=5-11", 206, "content")]
    [InlineData("bytes=-6", 206, "pieces")]
    [InlineData("bytes=48-", 206, "pieces")]
    [InlineData("bytes=48-9999", 206, "pieces")]
    [InlineData("bytes=9999-", 416, "")]
    [InlineData("bytes=x-y", 200, null)]
    [InlineData("lines=1-2", 200, null)]
    [InlineData("bytes=0-1,3-4", 200, null)]
    public async Task RangesOfABlobAreServed(string range, int status, string? expected)
    {
        using var registry = new RegistryFixture();
        var digest = await registry.PushBlobAsync("a", Content);
        var answer = await registry.SendAsync("GET", $"/v2/a/blobs/{digest}", null, ("Range", range));
        Assert.Equal(status, answer.Status);
        Assert.Equal(expected ?? Encoding.UTF8.GetString(Content), answer.Text);
    }

    [Fact]
    public async Task ABlobIsPushedInChunks()
    {
        using var registry = new RegistryFixture();
        var location = (await registry.SendAsync("POST", "/v2/a/blobs/uploads/")).Header("Location");
        var first = await registry.SendAsync("PATCH", location, Content[..20], ("Content-Range", "0-19"));
        Assert.Equal((202, "0-19"), (first.Status, first.Header("Range")));

        var wrong = await registry.SendAsync("PATCH", location, Content[30..40], ("Content-Range", "30-39"));
        Assert.Equal((416, "0-19"), (wrong.Status, wrong.Header("Range")));

        var status = await registry.SendAsync("GET", location);
        Assert.Equal((204, "0-19"), (status.Status, status.Header("Range")));

        Assert.Equal(202, (await registry.SendAsync("PATCH", location, Content[20..40], ("Content-Range", "20-39"))).Status);
        var done = await registry.SendAsync("PUT", location + "?digest=" + Digest.Sha256(Content), Content[40..], ("Content-Range", $"40-{Content.Length - 1}"));
        Assert.Equal(201, done.Status);
        Assert.Equal(Content, (await registry.SendAsync("GET", done.Header("Location"))).Body);
        Assert.Equal(404, (await registry.SendAsync("GET", location)).Status);
    }

    [Fact]
    public async Task ABlobIsPushedInOneRequest()
    {
        using var registry = new RegistryFixture();
        var answer = await registry.SendAsync("POST", "/v2/a/blobs/uploads/?digest=" + Digest.Sha256(Content), Content);
        Assert.Equal(201, answer.Status);
        Assert.Equal(Content, (await registry.SendAsync("GET", answer.Header("Location"))).Body);
    }

    [Fact]
    public async Task AWrongDigestLeavesNothing()
    {
        using var registry = new RegistryFixture();
        var location = (await registry.SendAsync("POST", "/v2/a/blobs/uploads/")).Header("Location");
        var wrong = Digest.Sha256("something else"u8);
        var answer = await registry.SendAsync("PUT", $"{location}?digest={wrong}", Content);
        Assert.Equal(400, answer.Status);
        Assert.Contains("DIGEST_INVALID", answer.Text);
        Assert.Empty(registry.Service.Store.Content.Blobs());
        Assert.Equal(404, (await registry.SendAsync("GET", $"/v2/a/blobs/{wrong}")).Status);
        Assert.Equal(404, (await registry.SendAsync("GET", location)).Status);
    }

    [Fact]
    public async Task Sha512IsADigestToo()
    {
        using var registry = new RegistryFixture();
        var digest = "sha512:" + Convert.ToHexStringLower(System.Security.Cryptography.SHA512.HashData(Content));
        Assert.Equal(201, (await registry.SendAsync("POST", "/v2/a/blobs/uploads/?digest=" + digest, Content)).Status);
        Assert.Equal(Content, (await registry.SendAsync("GET", $"/v2/a/blobs/{digest}")).Body);
    }

    [Fact]
    public async Task ABlobIsMountedFromAnotherRepository()
    {
        using var registry = new RegistryFixture();
        var digest = await registry.PushBlobAsync("from", Content);
        var mounted = await registry.SendAsync("POST", $"/v2/to/blobs/uploads/?mount={digest}&from=from");
        Assert.Equal(201, mounted.Status);
        Assert.Equal(Content, (await registry.SendAsync("GET", $"/v2/to/blobs/{digest}")).Body);
        Assert.Equal(202, (await registry.SendAsync("POST", $"/v2/to/blobs/uploads/?mount={digest}&from=nosuch")).Status);
    }

    [Fact]
    public async Task AnUploadSurvivesARestartAndCanBeCancelled()
    {
        using var registry = new RegistryFixture();
        var location = (await registry.SendAsync("POST", "/v2/a/blobs/uploads/")).Header("Location");
        await registry.SendAsync("PATCH", location, Content[..20]);
        registry.Service.Dispose();
        using var again = new RegistryService(new RegistryOptions { Root = Path.Combine(registry.Directory, "data") });
        var request = new Http.HttpRequest("GET", location, new Dictionary<string, string>(), new Http.HttpHeaders(), Http.RequestBody.None);
        using var status = await again.HandleAsync(request, CancellationToken.None);
        Assert.Equal("0-19", status.Headers["Range"]);
        using var cancelled = await again.HandleAsync(new Http.HttpRequest("DELETE", location, new Dictionary<string, string>(), new Http.HttpHeaders(), Http.RequestBody.None), CancellationToken.None);
        Assert.Equal(204, cancelled.Status);
        using var gone = await again.HandleAsync(request, CancellationToken.None);
        Assert.Equal(404, gone.Status);
    }

    [Fact]
    public async Task AManifestComesBackByTagAndByDigest()
    {
        using var registry = new RegistryFixture();
        var digest = await registry.PushImageAsync("a/b", "v1", "x");
        foreach (var name in (string[])["v1", digest.ToString()])
        {
            var answer = await registry.SendAsync("GET", "/v2/a/b/manifests/" + name);
            Assert.Equal((200, digest), (answer.Status, Digest.Sha256(answer.Body)));
            Assert.Equal("application/vnd.oci.image.manifest.v1+json", answer.Header("Content-Type"));
        }

        Assert.Equal(200, (await registry.SendAsync("HEAD", "/v2/a/b/manifests/v1")).Status);
        Assert.Contains("MANIFEST_UNKNOWN", (await registry.SendAsync("GET", "/v2/a/b/manifests/nosuch")).Text);
        Assert.Contains("NAME_UNKNOWN", (await registry.SendAsync("GET", "/v2/nosuch/manifests/v1")).Text);
    }

    [Fact]
    public async Task AManifestWithoutItsBlobsIsRefused()
    {
        using var registry = new RegistryFixture();
        var manifest = RegistryFixture.Manifest("c"u8.ToArray(), "l"u8.ToArray());
        var answer = await registry.SendAsync("PUT", "/v2/a/manifests/v1", manifest, ("Content-Type", "application/vnd.oci.image.manifest.v1+json"));
        Assert.Equal(404, answer.Status);
        Assert.Contains("MANIFEST_BLOB_UNKNOWN", answer.Text);
    }

    [Theory]
    [InlineData("not json", "application/vnd.oci.image.manifest.v1+json")]
    [InlineData("{}", "application/vnd.oci.image.manifest.v1+json")]
    [InlineData("""{"schemaVersion":1,"fsLayers":[]}""", "application/vnd.docker.distribution.manifest.v1+json")]
    [InlineData("""{"schemaVersion":2,"manifests":[],"config":{},"layers":[]}""", "application/vnd.oci.image.index.v1+json")]
    [InlineData("""{"schemaVersion":2,"mediaType":"application/vnd.oci.image.index.v1+json","manifests":[]}""", "application/vnd.oci.image.manifest.v1+json")]
    public async Task AManifestThatIsNoneIsRefused(string text, string type)
    {
        using var registry = new RegistryFixture();
        var answer = await registry.SendAsync("PUT", "/v2/a/manifests/v1", Encoding.UTF8.GetBytes(text), ("Content-Type", type));
        Assert.Equal(400, answer.Status);
        Assert.Contains("MANIFEST_INVALID", answer.Text);
        Assert.Empty(registry.Service.Store.Content.Blobs());
    }

    [Fact]
    public async Task AManifestThatIsTooLargeIsRefused()
    {
        using var registry = new RegistryFixture();
        Assert.Equal(413, (await registry.SendAsync("PUT", "/v2/a/manifests/v1", new byte[5 << 20])).Status);
    }

    [Theory]
    [InlineData("/v2/../../etc/manifests/passwd")]
    [InlineData("/v2/UPPER/manifests/v1")]
    [InlineData("/v2/a//b/blobs/uploads/")]
    [InlineData("/v2/_tags/manifests/v1")]
    [InlineData("/v2/a/../b/tags/list")]
    public async Task NamesThatAreNoneAreRefused(string target)
    {
        using var registry = new RegistryFixture();
        var answer = await registry.SendAsync("GET", target);
        Assert.InRange(answer.Status, 400, 404);
        Assert.Contains("NAME_INVALID", answer.Text);
    }

    [Fact]
    public async Task ReadOnlyMeansNoChange()
    {
        using var registry = new RegistryFixture(options => options with { ReadOnly = true });
        Assert.Equal(405, (await registry.SendAsync("POST", "/v2/a/blobs/uploads/")).Status);
        Assert.Equal(405, (await registry.SendAsync("PUT", "/v2/a/manifests/v1", [])).Status);
        Assert.Equal(405, (await registry.SendAsync("DELETE", "/v2/a/manifests/v1")).Status);
        Assert.Equal(200, (await registry.SendAsync("GET", "/v2/")).Status);
    }
}
