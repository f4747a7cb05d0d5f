using Hull.Core;

namespace Hull.Core.Tests;

public sealed class DigestTests
{
    private const string Empty = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

    [Fact]
    public void HashOfNothingIsTheKnownOne() => Assert.Equal(Empty, Digest.Sha256([]).ToString());

    [Fact]
    public void ParsesWhatItPrints() => Assert.Equal(Digest.Sha256([]), Digest.Parse(Empty));

    [Theory]
    [InlineData("")]
    [InlineData("sha256:")]
    [InlineData("sha256:E3B0C44298FC1C149AFBF4C8996FB92427AE41E4649B934CA495991B7852B855")]
    [InlineData("sha256:../../../../etc/passwd")]
    [InlineData("md5:d41d8cd98f00b204e9800998ecf8427e")]
    [InlineData("e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855")]
    public void RefusesAnythingThatIsNotAnAddress(string text)
    {
        var error = Assert.Throws<HullException>(() => Digest.Parse(text));
        Assert.Equal(ErrorKind.InvalidArgument, error.Kind);
    }
}
