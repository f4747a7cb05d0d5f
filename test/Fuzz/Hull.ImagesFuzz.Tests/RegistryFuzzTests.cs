using System.Security.Cryptography;
using System.Text;
using Hull.Core;
using Hull.Registry;
using Hull.Registry.Access;
using Hull.Registry.Handlers;
using Hull.Registry.Http;
using Hull.Testing;

namespace Hull.ImagesFuzz.Tests;

/// <summary>Damaged requests to the registry, from the bytes of the connection to the answer.</summary>
public class RegistryFuzzTests
{
    private const string Blob = "sha256:2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824";

    private static readonly List<byte[]> Requests =
    [
        .. ((string[])
        [
            "GET /v2/ HTTP/1.1\r\nHost: a\r\n\r\n",
            $"GET /v2/a/b_c/d-e/blobs/{Blob} HTTP/1.1\r\nHost: a\r\nRange: bytes=1-3\r\nIf-None-Match: \"{Blob}\"\r\n\r\n",
            $"HEAD /v2/manifests/blobs/tags/manifests/v1.0 HTTP/1.1\r\nHost: a\r\nAccept: application/vnd.oci.image.index.v1+json;q=0.5, */*\r\nAuthorization: Basic YTpi\r\n\r\n",
            "GET /v2/a/tags/list?n=2&last=b%2Fc HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer x.y.z\r\n\r\n",
            $"GET /v2/a/referrers/{Blob}?artifactType=application%2Fx HTTP/1.0\r\n\r\n",
            "GET http://a:5000/v2/_catalog?n=3 HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n",
            $"POST /v2/a/blobs/uploads/?mount={Blob}&from=b HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n",
            $"POST /v2/a/blobs/uploads/?digest={Blob} HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello",
            "PATCH /v2/a/blobs/uploads/UPLOAD HTTP/1.1\r\nHost: a\r\nContent-Range: 0-4\r\nContent-Length: 5\r\n\r\nhello",
            "PATCH /v2/a/blobs/uploads/UPLOAD HTTP/1.1\r\nHost: a\r\nContent-Range: bytes 0-4/*\r\nTransfer-Encoding: chunked\r\n\r\n3;x=y\r\nhel\r\n2\r\nlo\r\n0\r\nT: u\r\n\r\n",
            $"PUT /v2/a/blobs/uploads/UPLOAD?digest={Blob} HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\nhello",
            "PUT /v2/a/manifests/t HTTP/1.1\r\nHost: a\r\nContent-Type: application/vnd.oci.image.index.v1+json\r\nContent-Length: 36\r\n\r\n{\"schemaVersion\":2,\"manifests\":[]}  ",
            $"DELETE /v2/a/manifests/{Blob} HTTP/1.1\r\nHost: a\r\n\r\n",
        ]).Select(Encoding.ASCII.GetBytes),
    ];

    [Fact]
    public void Damaged_requests_are_answered()
    {
        using var directory = new TemporaryDirectory("registry-fuzz");
        using var registry = new RegistryService(new RegistryOptions { Root = directory["data"], CollectInterval = TimeSpan.Zero });
        var upload = Ask(registry, "POST /v2/a/blobs/uploads/ HTTP/1.1\r\nHost: a\r\n\r\n"u8.ToArray())!;
        var id = upload.Headers["Docker-Upload-UUID"]!;
        var corpus = Requests.Select(bytes => Encoding.ASCII.GetBytes(Encoding.ASCII.GetString(bytes).Replace("UPLOAD", id, StringComparison.Ordinal))).ToList();
        Damaged.Try(corpus, 4000, bytes =>
        {
            using var answer = Ask(registry, bytes);
            if (answer is not null) Assert.InRange(answer.Status, 200, 507);
            Assert.False(answer?.Status == 500, "the registry broke");
        });
        // Whatever was asked for, nothing was written anywhere else.
        Assert.Equal(["data"], Directory.GetFileSystemEntries(directory.Path).Select(Path.GetFileName));
    }

    [Fact]
    public void Damaged_paths_name_no_repository_outside()
    {
        var corpus = Requests.Select(bytes => Encoding.ASCII.GetBytes(Encoding.ASCII.GetString(bytes).Split(' ')[1].Split('?')[0])).ToList();
        corpus.Add("/v2/../../etc/manifests/x"u8.ToArray());
        Damaged.Try(corpus, 30_000, bytes =>
        {
            try
            {
                if (RegistryRoute.Parse(Encoding.UTF8.GetString(bytes)) is not { Repository.Length: > 0 } route) return;
                Assert.True(ImageReference.IsPath(route.Repository));
                Assert.DoesNotContain("..", route.Repository, StringComparison.Ordinal);
            }
            catch (RegistryError error)
            {
                Assert.InRange(error.ToResponse().Status, 400, 499);
            }
        });
    }

    [Fact]
    public void Damaged_ranges_stay_inside_the_blob()
    {
        List<byte[]> corpus = ["bytes=0-3"u8.ToArray(), "bytes=5-"u8.ToArray(), "bytes=-6"u8.ToArray(), "bytes=9223372036854775807-9223372036854775807"u8.ToArray(), "bytes=0-1,3-4"u8.ToArray()];
        Damaged.Try(corpus, 30_000, bytes =>
        {
            foreach (var size in (long[])[0, 1, 54, long.MaxValue])
            {
                if (BlobHandler.Range(Encoding.UTF8.GetString(bytes), size) is not { Count: > 0 } part) continue;
                Assert.InRange(part.From, 0, size - 1);
                Assert.InRange(part.Count, 1, size - part.From);
            }
        });
    }

    [Fact]
    public void Damaged_tokens_let_nobody_in()
    {
        using var directory = new TemporaryDirectory("registry-fuzz");
        using var key = ECDsa.Create(ECCurve.NamedCurves.nistP256);
        File.WriteAllText(directory["key.pem"], key.ExportSubjectPublicKeyInfoPem());
        var access = new TokenAccess(new TokenOptions("http://a/token", "hull", "issuer", directory["key.pem"]), false, TimeProvider.System);
        var signed = Encode("""{"alg":"ES256","typ":"JWT"}""") + "." + Encode("""{"iss":"issuer","aud":["hull"],"exp":99999999999,"access":[{"type":"repository","name":"a","actions":["pull"]}]}""");
        var token = signed + "." + System.Buffers.Text.Base64Url.EncodeToString(key.SignData(Encoding.ASCII.GetBytes(signed), HashAlgorithmName.SHA256));
        Assert.NotNull(access.Verify(token));
        Damaged.Try([Encoding.ASCII.GetBytes(token)], 10_000, bytes =>
        {
            var text = Encoding.UTF8.GetString(bytes);
            // Bits behind the end of a base64 text may differ without changing what it says.
            if (!text.StartsWith(signed + ".", StringComparison.Ordinal)) Assert.Null(access.Verify(text));
            else access.Verify(text);
        });
    }

    private static string Encode(string json) => System.Buffers.Text.Base64Url.EncodeToString(Encoding.UTF8.GetBytes(json));

    /// <summary>The answer; null where the request is refused before the registry sees it, or its client goes away.</summary>
    private static HttpResponse? Ask(RegistryService registry, byte[] bytes)
    {
        var end = HeadParser.FindEnd(bytes);
        if (end < 0) return null;
        try
        {
            var head = HeadParser.Parse(bytes.AsSpan(0, end));
            var reader = new ConnectionReader(new MemoryStream(bytes[end..]), () => { });
            RequestBody body = head.Chunked ? new ChunkedBody(reader, _ => default) : new LengthBody(reader, head.ContentLength ?? 0, _ => default);
            return registry.HandleAsync(new HttpRequest(head.Method, head.Path, head.Query, head.Headers, body), CancellationToken.None).GetAwaiter().GetResult();
        }
        catch (Exception error) when (error is BadRequestException or IOException)
        {
            return null;
        }
    }
}
