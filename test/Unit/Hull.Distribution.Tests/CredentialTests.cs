using Hull.Core;
using Hull.Core.Tar;
using Hull.Images.Archive;
using Hull.Images.Distribution;
using Hull.Testing;

namespace Hull.Distribution.Tests;

public sealed class CredentialTests
{
    [Theory]
    [InlineData("Bearer realm=\"https://a/t\",service=\"s\",scope=\"repository:a:pull,push\"", "Bearer", "realm", "https://a/t")]
    [InlineData("Bearer realm=\"https://a/t\",service=\"s\",scope=\"repository:a:pull,push\"", "Bearer", "scope", "repository:a:pull,push")]
    [InlineData("basic REALM=x", "basic", "realm", "x")]
    [InlineData("Basic realm=\"a \\\"quoted\\\" one\", charset=UTF-8", "Basic", "realm", "a \"quoted\" one")]
    [InlineData("Basic realm=\"first\", realm=\"second\"", "Basic", "realm", "first")]
    public void ChallengesAreRead(string header, string scheme, string name, string value)
    {
        var challenge = AuthChallenge.Parse(header)[0];
        Assert.Equal((scheme, value), (challenge.Scheme, challenge[name]));
    }

    [Fact]
    public void SeveralChallengesOfOneHeaderAreTold() => Assert.Equal(["Negotiate", "Basic", "Bearer"],
        AuthChallenge.Parse("Negotiate, Basic realm=\"x\", Bearer realm=\"y\",service=z").Select(challenge => challenge.Scheme));

    [Fact]
    public void AnyHeaderIsReadWithinBounds()
    {
        var random = new Random(11);
        const string Alphabet = "Basic Bearer realm=\"\\,;=: \tx/é\0";
        for (var round = 0; round < 50_000; round++)
        {
            var text = string.Concat(Enumerable.Range(0, random.Next(60)).Select(_ => Alphabet[random.Next(Alphabet.Length)]));
            Assert.InRange(AuthChallenge.Parse(text).Count, 0, 60);
        }

        Assert.Empty(AuthChallenge.Parse(new string('a', 1 << 20)));
        Assert.True(AuthChallenge.Parse("Basic " + string.Concat(Enumerable.Range(0, 1000).Select(i => $"a{i}=b,")))[0].Parameters.Count <= 32);
    }

    [Fact]
    public async Task LoginsOfDockerAreFound()
    {
        using var directory = new TemporaryDirectory();
        File.WriteAllText(directory["config.json"],
            """{"auths":{"https://index.docker.io/v1/":{"auth":"aHViOnB3"},"localhost:5000":{"auth":"YTpiOmM="},"https://x.example/v2/":{"identitytoken":"t"},"empty.example":{}},"other":1}""");
        var config = DockerConfig.Load([directory["config.json"]]);
        Assert.Equal(new RegistryCredential("hub", "pw"), await config.FindAsync("docker.io"));
        Assert.Equal(new RegistryCredential("a", "b:c"), await config.FindAsync("localhost:5000"));
        Assert.Equal("t", (await config.FindAsync("x.example"))!.IdentityToken);
        Assert.Null(await config.FindAsync("empty.example"));
        Assert.Null(await config.FindAsync("nosuch.example"));

        await DockerConfig.StoreAsync(directory["config.json"], "new.example", new RegistryCredential("n", "p"));
        Assert.Equal(new RegistryCredential("n", "p"), await DockerConfig.Load([directory["config.json"]]).FindAsync("new.example"));
        Assert.Contains("\"other\"", File.ReadAllText(directory["config.json"]));
        Assert.Equal(UnixFileMode.UserRead | UnixFileMode.UserWrite, File.GetUnixFileMode(directory["config.json"]));
        Assert.True(await DockerConfig.EraseAsync(directory["config.json"], "docker.io"));
        Assert.Null(await DockerConfig.Load([directory["config.json"]]).FindAsync("docker.io"));
    }

    [Theory]
    [InlineData("not json")]
    [InlineData("[]")]
    [InlineData("""{"auths":{"a.example":{"auth":"!!!"}}}""")]
    [InlineData("""{"credsStore":"../../bin/sh"}""")]
    [InlineData("""{"credsStore":"\ud800"}""")]
    [InlineData("""{"auths":{"a.example":{},"a.example":{}}}""")]
    public async Task FilesThatCannotBeReadAreOneError(string text)
    {
        using var directory = new TemporaryDirectory();
        File.WriteAllText(directory["config.json"], text);
        var error = await Assert.ThrowsAsync<HullException>(() => DockerConfig.Load([directory["config.json"]]).FindAsync("a.example"));
        Assert.Equal(ErrorKind.InvalidArgument, error.Kind);
    }

    [Fact]
    public void LimitsOfLayersComeFromTheSettings()
    {
        using var directory = new TemporaryDirectory("distribution");
        File.WriteAllText(directory["r.json"], """{"layers":{"maxSize":1000000,"maxRatio":20}}""");
        var limits = RegistriesConfig.Load(directory["r.json"]).Layers.ToLimits();
        Assert.Equal((1_000_000L, 20), (limits.MaxLayerSize, limits.MaxRatio));
        foreach (var partial in (string[])["{}", """{"registries":{"a.example":{"insecure":true}}}""", """{"registries":null,"layers":null}""", """{"registries":{"a.example":null}}"""])
        {
            File.WriteAllText(directory["r.json"], partial);
            Assert.Equal(UnpackLimits.Default, RegistriesConfig.Load(directory["r.json"]).Layers.ToLimits());
            Assert.Empty(RegistriesConfig.Load(directory["r.json"]).For("a.example").Mirrors);
        }

        Assert.Equal(UnpackLimits.Default, RegistriesConfig.Load(directory["none"]).Layers.ToLimits());
        File.WriteAllText(directory["r.json"], """{"layers":{"maxSize":0}}""");
        Assert.Equal(ErrorKind.InvalidArgument, Assert.Throws<HullException>(() => RegistriesConfig.Load(directory["r.json"]).Layers.ToLimits()).Kind);
    }

    [Fact]
    public void MirrorsAndInsecureRegistriesComeFromTheSettings()
    {
        using var directory = new TemporaryDirectory();
        File.WriteAllText(directory["r.json"], """{"registries":{"docker.io":{"mirrors":["https://m.example/hub"]},"plain.example":{"insecure":true},"*":{"mirrors":["http://all.example"]}}}""");
        var config = RegistriesConfig.Load(directory["r.json"]);
        Assert.Equal(["https://m.example/hub"], config.For("docker.io").Mirrors);
        Assert.True(config.For("plain.example").Insecure);
        Assert.Equal(["http://all.example"], config.For("else.example").Mirrors);
        Assert.False(config.For("else.example").Insecure);
        Assert.Empty(RegistriesConfig.Load(directory["nosuch.json"]).For("docker.io").Mirrors);
    }
}
