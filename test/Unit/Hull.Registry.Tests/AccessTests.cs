using System.Buffers.Text;
using System.Security.Cryptography;
using System.Text;
using Hull.Core;
using Hull.Linux.Passwords;
using Hull.Testing;

namespace Hull.Registry.Tests;

public sealed class AccessTests
{
    /// <summary>The password is <c>secret</c>; made by <c>htpasswd -B</c> with cost 5.</summary>
    private const string Hash = "$2y$05$abcdefghijklmnopqrstuuOQiyCxlgf/oeuTqixKmWdcYUh4Hjl0a";

    private static string Basic(string name, string password) => "Basic " + Convert.ToBase64String(Encoding.UTF8.GetBytes($"{name}:{password}"));

    private static async Task<int> EnterAsync(RegistryFixture registry, string? authorization, string method = "GET", string target = "/v2/") =>
        (await (authorization is null ? registry.SendAsync(method, target) : registry.SendAsync(method, target, null, ("Authorization", authorization)))).Status;

    [Theory]
    [InlineData("secret", true)]
    [InlineData("Secret", false)]
    [InlineData("", false)]
    [InlineData("secret\0", false)]
    public void PasswordsAreCheckedAgainstBcrypt(string password, bool expected) => Assert.Equal(expected, PasswordHash.Matches(password, Hash));

    [Fact]
    public async Task PasswordsOpenTheRegistry()
    {
        using var directory = new TemporaryDirectory();
        File.WriteAllText(directory["users"], $"# users\nme:{Hash}\n");
        using var registry = new RegistryFixture(options => options with { PasswordFile = directory["users"] });
        var refused = await registry.SendAsync("GET", "/v2/");
        Assert.Equal(401, refused.Status);
        Assert.StartsWith("Basic realm=", refused.Header("WWW-Authenticate"));
        Assert.Equal(200, await EnterAsync(registry, Basic("me", "secret")));
        Assert.Equal(200, await EnterAsync(registry, Basic("me", "secret")));
        Assert.Equal(401, await EnterAsync(registry, Basic("me", "wrong")));
        Assert.Equal(401, await EnterAsync(registry, Basic("you", "secret")));
        Assert.Equal(401, await EnterAsync(registry, "Basic not-base64"));
        Assert.Equal(401, await EnterAsync(registry, null, "POST", "/v2/a/blobs/uploads/"));

        File.WriteAllText(directory["users"], $"you:{Hash}\n");
        File.SetLastWriteTimeUtc(directory["users"], new DateTime(2030, 1, 1, 0, 0, 0, DateTimeKind.Utc));
        Assert.Equal(401, await EnterAsync(registry, Basic("me", "secret")));
        Assert.Equal(200, await EnterAsync(registry, Basic("you", "secret")));
    }

    [Fact]
    public void PasswordsThatAreNotBcryptAreRefused()
    {
        using var directory = new TemporaryDirectory();
        File.WriteAllText(directory["users"], "me:plain\n");
        var error = Assert.Throws<HullException>(() => new RegistryFixture(options => options with { PasswordFile = directory["users"] }));
        Assert.Contains("bcrypt", error.Message);
    }

    [Theory]
    [InlineData("RS256")]
    [InlineData("ES256")]
    public async Task TokensGrantWhatTheySay(string algorithm)
    {
        using var directory = new TemporaryDirectory();
        using var rsa = RSA.Create(2048);
        using var ecdsa = ECDsa.Create(ECCurve.NamedCurves.nistP256);
        File.WriteAllText(directory["key.pem"], algorithm == "RS256" ? rsa.ExportSubjectPublicKeyInfoPem() : ecdsa.ExportSubjectPublicKeyInfoPem());
        using var registry = new RegistryFixture(options => options with { Token = new TokenOptions("https://auth.example/token", "reg", "issuer", directory["key.pem"]) });
        string Token(string claims, string header = "") => Sign(header.Length > 0 ? header : $$"""{"alg":"{{algorithm}}","typ":"JWT"}""", claims,
            signed => algorithm == "RS256" ? rsa.SignData(signed, HashAlgorithmName.SHA256, RSASignaturePadding.Pkcs1) : ecdsa.SignData(signed, HashAlgorithmName.SHA256));
        async Task<int> Try(string token, string method = "GET", string target = "/v2/a/tags/list") => await EnterAsync(registry, "Bearer " + token, method, target);

        var challenge = (await registry.SendAsync("POST", "/v2/a/blobs/uploads/")).Header("WWW-Authenticate");
        Assert.Equal("Bearer realm=\"https://auth.example/token\",service=\"reg\",scope=\"repository:a:pull,push\"", challenge);

        const string Pull = """{"iss":"issuer","aud":"reg","exp":4000000000,"access":[{"type":"repository","name":"a","actions":["pull"]}]}""";
        Assert.Equal(404, await Try(Token(Pull)));
        Assert.Equal(401, await Try(Token(Pull), "POST", "/v2/a/blobs/uploads/"));
        Assert.Equal(401, await Try(Token(Pull), "GET", "/v2/other/tags/list"));
        Assert.Equal(202, await Try(Token(Pull.Replace("pull", "*")), "POST", "/v2/a/blobs/uploads/"));
        Assert.Equal(401, await Try(Token(Pull.Replace("4000000000", "1000"))));
        Assert.Equal(401, await Try(Token(Pull.Replace("issuer", "other"))));
        Assert.Equal(401, await Try(Token(Pull.Replace("\"reg\"", "\"other\""))));
        Assert.Equal(404, await Try(Token(Pull.Replace("\"reg\"", "[\"x\",\"reg\"]"))));
        Assert.Equal(401, await Try(Token(Pull, """{"alg":"none"}""")));
        Assert.Equal(401, await Try(Token(Pull, """{"alg":"HS256"}""")));
        Assert.Equal(401, await Try(Token(Pull)[..^4] + "AAAA"));
        Assert.Equal(401, await Try("x.y"));
        Assert.Equal(401, await Try(new string('a', 100_000)));
    }

    private static string Sign(string header, string claims, Func<byte[], byte[]> sign)
    {
        var text = Base64Url.EncodeToString(Encoding.UTF8.GetBytes(header)) + "." + Base64Url.EncodeToString(Encoding.UTF8.GetBytes(claims));
        return text + "." + Base64Url.EncodeToString(sign(Encoding.ASCII.GetBytes(text)));
    }
}
