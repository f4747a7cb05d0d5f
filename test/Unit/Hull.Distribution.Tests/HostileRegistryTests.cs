using System.Text;
using Hull.Core;
using Hull.Images.Distribution;
using Hull.Oci.Image;
using Hull.Registry.Http;

namespace Hull.Distribution.Tests;

/// <summary>Registries that are broken, slow or evil: each costs one clear error, or nothing.</summary>
public sealed class HostileRegistryTests
{
    private static readonly byte[] Content = Encoding.UTF8.GetBytes(string.Concat(Enumerable.Range(0, 5000).Select(i => i + ",")));
    private static readonly RegistryCredential Me = new("me", "secret");

    private static Descriptor Blob(byte[] content, long? size = null) =>
        new() { MediaType = MediaTypes.OciLayerGzip, Digest = Digest.Sha256(content), Size = size ?? content.Length };

    private static async Task<byte[]> ReadAsync(RemoteRepository repository, Descriptor blob)
    {
        await using var stream = await repository.OpenBlobAsync(blob);
        using var bytes = new MemoryStream();
        await stream.CopyToAsync(bytes);
        return bytes.ToArray();
    }

    private static async Task<ErrorKind> FailureAsync(Func<Task> action) => (await Assert.ThrowsAsync<HullException>(action)).Kind;

    [Fact]
    public async Task CredentialsNeverFollowARedirectToAnotherHost()
    {
        using var other = new FakeRegistry(_ => new HttpResponse(200) { Bytes = Content });
        using var registry = new FakeRegistry(request => request.Headers["Authorization"] is null
            ? new HttpResponse(401).With("WWW-Authenticate", "Basic realm=\"x\"")
            : new HttpResponse(307).With("Location", $"http://{other.Address}/stolen"));
        using var repository = registry.Repository(Me);
        Assert.Equal(Content, await ReadAsync(repository, Blob(Content)));
        Assert.Equal(Me.Basic, registry.Requests[^1].Headers["Authorization"]);
        Assert.Null(Assert.Single(other.Requests).Headers["Authorization"]);
    }

    [Fact]
    public async Task RedirectsInACircleEnd()
    {
        using var registry = new FakeRegistry(request => new HttpResponse(302).With("Location", request.Path));
        using var repository = registry.Repository();
        Assert.Equal(ErrorKind.DataCorrupted, await FailureAsync(() => ReadAsync(repository, Blob(Content))));
        Assert.InRange(registry.Requests.Count, 1, 10);
    }

    [Theory]
    [InlineData("file:///etc/passwd")]
    [InlineData("ftp://127.0.0.1/x")]
    public async Task RedirectsToOtherSchemesAreRefused(string target)
    {
        using var registry = new FakeRegistry(_ => new HttpResponse(302).With("Location", target));
        using var repository = registry.Repository();
        Assert.Equal(ErrorKind.DataCorrupted, await FailureAsync(() => ReadAsync(repository, Blob(Content))));
    }

    [Fact]
    public async Task AManifestThatNeverEndsIsCutOff()
    {
        using var registry = new FakeRegistry(_ => new HttpResponse(200)
        {
            FedLength = 1L << 40,
            Feed = async (stream, cancellation) =>
            {
                for (var chunk = new byte[1 << 20]; ;) await stream.WriteAsync(chunk, cancellation);
            },
        }.With("Content-Type", MediaTypes.OciManifest));
        using var repository = registry.Repository();
        Assert.Equal(ErrorKind.DataCorrupted, await FailureAsync(() => repository.GetManifestAsync("latest")));
    }

    [Fact]
    public async Task ABlobOfAnotherSizeIsRefused()
    {
        using var registry = new FakeRegistry(_ => new HttpResponse(200) { Bytes = Content });
        using var repository = registry.Repository();
        Assert.Equal(ErrorKind.DataCorrupted, await FailureAsync(() => ReadAsync(repository, Blob(Content, Content.Length - 1))));
        Assert.Equal(ErrorKind.DataCorrupted, await FailureAsync(() => ReadAsync(repository, Blob(Content, Content.Length + 1))));
    }

    [Fact]
    public async Task ARegistryThatFallsSilentIsGivenUp()
    {
        using var registry = new FakeRegistry(_ => new HttpResponse(200)
        {
            FedLength = Content.Length,
            Feed = (_, cancellation) => Task.Delay(Timeout.Infinite, cancellation),
        });
        using var repository = new RemoteRepository(ImageReference.Parse(registry.Address + "/r"), new DistributionOptions
        {
            Transport = TransportOptions.Default with { RetryDelay = TimeSpan.FromMilliseconds(1), IdleTimeout = TimeSpan.FromMilliseconds(200), Attempts = 2 },
        });
        Assert.Equal(ErrorKind.Unavailable, await FailureAsync(() => ReadAsync(repository, Blob(Content))));
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task ABrokenDownloadGoesOnWhereItBroke(bool knowsRanges)
    {
        var served = 0;
        using var registry = new FakeRegistry(request =>
        {
            var from = knowsRanges && request.Headers["Range"] is { } range ? int.Parse(range["bytes=".Length..^1]) : 0;
            var part = Math.Min(5000 * (++served), Content.Length - from);
            var response = new HttpResponse(from > 0 ? 206 : 200)
            {
                FedLength = Content.Length - from,
                Feed = async (stream, cancellation) =>
                {
                    await stream.WriteAsync(Content.AsMemory(from, part), cancellation);
                    if (from + part < Content.Length) throw new IOException("the line is cut");
                },
            };
            return from > 0 ? response.With("Content-Range", $"bytes {from}-{Content.Length - 1}/{Content.Length}") : response;
        });
        using var repository = registry.Repository();
        Assert.Equal(Content, await ReadAsync(repository, Blob(Content)));
        Assert.True(registry.Requests.Count > 1);
    }

    [Fact]
    public async Task PassingFailuresAreTriedAgain()
    {
        var failures = 2;
        using var registry = new FakeRegistry(_ => failures-- > 0 ? new HttpResponse(503).With("Retry-After", "0") : new HttpResponse(200) { Bytes = Content });
        using var repository = registry.Repository();
        Assert.Equal(Content, await ReadAsync(repository, Blob(Content)));
        Assert.Equal(3, registry.Requests.Count);
    }

    [Fact]
    public async Task WordsOfTheRegistryAreToldWithoutControlCharacters()
    {
        using var registry = new FakeRegistry(_ => FakeRegistry.Text(404, """{"errors":[{"code":"MANIFEST_UNKNOWN","message":"gone\u001b[31m\nforever"}]}"""));
        using var repository = registry.Repository();
        var error = await Assert.ThrowsAsync<HullException>(() => repository.GetManifestAsync("latest"));
        Assert.Equal(ErrorKind.NotFound, error.Kind);
        Assert.Contains("gone", error.Message);
        Assert.DoesNotContain('\u001b', error.Message);
        Assert.DoesNotContain('\n', error.Message);
    }

    [Fact]
    public async Task AManifestWithAnotherDigestIsRefused()
    {
        const string Manifest = """{"schemaVersion":2,"manifests":[]}""";
        using var registry = new FakeRegistry(_ => FakeRegistry.Text(200, Manifest, MediaTypes.OciIndex).With("Docker-Content-Digest", Digest.Sha256("x"u8).ToString()));
        using var repository = registry.Repository();
        Assert.Equal(ErrorKind.DataCorrupted, await FailureAsync(() => repository.GetManifestAsync("latest")));
        Assert.Equal(ErrorKind.DataCorrupted, await FailureAsync(() => repository.GetManifestAsync(Digest.Sha256("y"u8).ToString())));
    }

    [Theory]
    [InlineData("""{"schemaVersion":2,"manifests":[],"config":{}}""", MediaTypes.OciIndex)]
    [InlineData("""{"schemaVersion":2,"mediaType":"application/vnd.oci.image.manifest.v1+json","manifests":[]}""", MediaTypes.OciIndex)]
    [InlineData("""{"schemaVersion":2,"manifests":[],"Manifests":[]}""", MediaTypes.OciIndex)]
    [InlineData("<html>", "text/html")]
    public async Task ConfusedManifestsAreRefused(string text, string type)
    {
        using var registry = new FakeRegistry(_ => FakeRegistry.Text(200, text, type));
        using var repository = registry.Repository();
        Assert.Contains(await FailureAsync(() => repository.GetManifestAsync("latest")), (ErrorKind[])[ErrorKind.DataCorrupted, ErrorKind.Unsupported]);
    }

    [Fact]
    public async Task TokensAreAskedForOncePerScope()
    {
        FakeRegistry? self = null;
        using var registry = new FakeRegistry(request => request.Path == "/token"
            ? FakeRegistry.Text(200, """{"token":"good","expires_in":300}""")
            : request.Headers["Authorization"] == "Bearer good"
                ? new HttpResponse(200) { Bytes = Content }
                : new HttpResponse(401).With("WWW-Authenticate", $"Bearer realm=\"http://{self!.Address}/token\",service=\"s\",scope=\"repository:everything:*\""));
        self = registry;
        using var repository = registry.Repository(Me);
        await Task.WhenAll(Enumerable.Range(0, 5).Select(_ => ReadAsync(repository, Blob(Content))));
        var asked = Assert.Single(registry.Requests, request => request.Path == "/token");
        // Only what is needed is asked for, whatever the registry suggests.
        Assert.Equal("repository:r:pull", asked.Query["scope"]);
        Assert.Equal(Me.Basic, asked.Headers["Authorization"]);
    }

    [Fact]
    public async Task ARefusedLoginIsOneErrorAndSaysWhatToDo()
    {
        using var registry = new FakeRegistry(_ => new HttpResponse(401).With("WWW-Authenticate", "Basic realm=\"x\""));
        using var repository = registry.Repository(Me);
        var error = await Assert.ThrowsAsync<HullException>(() => repository.GetManifestAsync("latest"));
        Assert.Equal(ErrorKind.Unauthenticated, error.Kind);
        Assert.Contains("hull login", error.Message);
        Assert.DoesNotContain("secret", error.FullMessage);
        Assert.InRange(registry.Requests.Count, 1, 3);
    }

    [Fact]
    public async Task ABrokenUploadGoesOnWhereItBroke()
    {
        var received = new MemoryStream();
        var broken = false;
        using var registry = new FakeRegistry(request =>
        {
            switch (request.Method)
            {
                case "POST": return new HttpResponse(202).With("Location", "/v2/r/blobs/uploads/1");
                case "GET": return new HttpResponse(204).With("Location", "/v2/r/blobs/uploads/1").With("Range", $"0-{received.Length - 1}");
                case "PUT" when !broken:
                    broken = true;
                    Drain(request, received, 9000);
                    return new HttpResponse(503);
                default:
                    Drain(request, received, int.MaxValue);
                    return new HttpResponse(request.Method == "PUT" ? 201 : 202).With("Location", "/v2/r/blobs/uploads/1");
            }
        });
        using var repository = registry.Repository();
        Assert.True(await repository.PushBlobAsync(Blob(Content), offset => new MemoryStream(Content, (int)offset, Content.Length - (int)offset), []));
        Assert.Equal(Content, received.ToArray());
    }

    private static void Drain(HttpRequest request, Stream target, int limit)
    {
        var buffer = new byte[Math.Min(limit, 4096)];
        for (int count; limit > 0 && (count = request.Body.ReadAsync(buffer.AsMemory(0, Math.Min(buffer.Length, limit)), default).AsTask().GetAwaiter().GetResult()) > 0; limit -= count)
            target.Write(buffer, 0, count);
    }
}
