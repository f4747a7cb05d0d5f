using Hull.Core;

namespace Hull.Core.Tests;

public sealed class ImageReferenceTests
{
    private const string Hash = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

    [Theory]
    [InlineData("busybox", "docker.io/library/busybox", "busybox")]
    [InlineData("busybox:1.36", "docker.io/library/busybox:1.36", "busybox:1.36")]
    [InlineData("user/app", "docker.io/user/app", "user/app")]
    [InlineData("docker.io/busybox", "docker.io/library/busybox", "busybox")]
    [InlineData("docker.io/library/busybox", "docker.io/library/busybox", "busybox")]
    [InlineData("index.docker.io/user/app:v1", "docker.io/user/app:v1", "user/app:v1")]
    [InlineData("library/a/b", "docker.io/library/a/b", "library/a/b")]
    [InlineData("localhost/x", "localhost/x", "localhost/x")]
    [InlineData("localhost:5000/x", "localhost:5000/x", "localhost:5000/x")]
    [InlineData("localhost:5000/x:y", "localhost:5000/x:y", "localhost:5000/x:y")]
    [InlineData("Upper/x", "Upper/x", "Upper/x")]
    [InlineData("[::1]:5000/x:t", "[::1]:5000/x:t", "[::1]:5000/x:t")]
    [InlineData("[fe80::1]/x", "[fe80::1]/x", "[fe80::1]/x")]
    [InlineData("quay.io/a/b__c/d---e.f@" + Hash, "quay.io/a/b__c/d---e.f@" + Hash, "quay.io/a/b__c/d---e.f@" + Hash)]
    [InlineData("a:t@" + Hash, "docker.io/library/a:t@" + Hash, "a:t@" + Hash)]
    [InlineData("test_com/x", "docker.io/test_com/x", "test_com/x")]
    public void ReadsNamesAsDockerDoes(string text, string canonical, string familiar)
    {
        var reference = ImageReference.Parse(text);
        Assert.Equal(canonical, reference.Canonical);
        Assert.Equal(familiar, reference.Familiar);
        Assert.Equal(reference, ImageReference.Parse(reference.Canonical));
        Assert.Equal(reference, ImageReference.Parse(reference.Familiar));
    }

    [Theory]
    [InlineData("")]
    [InlineData(":justtag")]
    [InlineData("@" + Hash)]
    [InlineData("repo@sha256:ffff")]
    [InlineData("Uppercase:tag")]
    [InlineData("validname@invaliddigest:e3b0c442")]
    [InlineData("lower:Upper/case")]
    [InlineData("a//b")]
    [InlineData("/a")]
    [InlineData("a/")]
    [InlineData("a..b/c")]
    [InlineData("a.-b")]
    [InlineData("a___b")]
    [InlineData("-a")]
    [InlineData("a-")]
    [InlineData("a:")]
    [InlineData("a:.t")]
    [InlineData("a: t")]
    [InlineData("a b")]
    [InlineData("../../etc/passwd")]
    [InlineData("x/../y")]
    [InlineData("example.com:99999/x")]
    [InlineData("example.com:/x")]
    [InlineData("[::1/x")]
    [InlineData("[::g]:1/x")]
    [InlineData("-bad.example/x")]
    [InlineData("http://example.com/x")]
    [InlineData("a\0b")]
    [InlineData("ünïcode")]
    [InlineData("a@" + Hash + "@" + Hash)]
    [InlineData("e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855")]
    public void RefusesWhatDockerRefuses(string text)
    {
        Assert.False(ImageReference.TryParse(text, out _));
        Assert.Equal(ErrorKind.InvalidArgument, Assert.Throws<HullException>(() => ImageReference.Parse(text)).Kind);
    }

    [Fact]
    public void LimitsAreThoseOfTheGrammar()
    {
        var longest = "a.example/" + new string('a', ImageReference.MaximumNameLength - "a.example/".Length);
        Assert.Equal(ImageReference.MaximumNameLength, ImageReference.Parse(longest).Repository.Length);
        Assert.False(ImageReference.TryParse(longest + "a", out _));
        Assert.True(ImageReference.TryParse("a:" + new string('t', 128), out _));
        Assert.False(ImageReference.TryParse("a:" + new string('t', 129), out _));
        Assert.False(ImageReference.TryParse(new string('a', 1 << 20), out _));
    }

    [Fact]
    public void DefaultTagIsAddedOnlyWhereNothingElseSaysWhichImage()
    {
        Assert.Equal("docker.io/library/a:latest", ImageReference.Parse("a").WithDefaultTag().Canonical);
        Assert.Equal("docker.io/library/a@" + Hash, ImageReference.Parse("a@" + Hash).WithDefaultTag().Canonical);
        Assert.Equal("docker.io/library/a:x", ImageReference.Parse("a:x").WithDefaultTag().Canonical);
    }

    /// <summary>Whatever the bytes: an answer or the one error, and an accepted name survives its own text.</summary>
    [Fact]
    public void RandomTextNeverDoesAnythingElse()
    {
        const string Alphabet = "aZ09./:@[]-_ sha256\0é";
        var random = new Random(20240607);
        for (var round = 0; round < 50_000; round++)
        {
            var text = string.Concat(Enumerable.Range(0, random.Next(40)).Select(_ => Alphabet[random.Next(Alphabet.Length)]));
            if (!ImageReference.TryParse(text, out var reference)) continue;
            Assert.Equal(reference, ImageReference.Parse(reference.Canonical));
            Assert.Equal(reference, ImageReference.Parse(reference.Familiar));
        }
    }
}
