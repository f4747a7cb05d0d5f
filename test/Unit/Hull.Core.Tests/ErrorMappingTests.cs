using Hull.Core;

namespace Hull.Core.Tests;

public sealed class ErrorMappingTests
{
    [Fact]
    public void EveryKindHasAStatusAndAnExitCode()
    {
        foreach (var kind in Enum.GetValues<ErrorKind>())
        {
            Assert.InRange(ErrorMapping.ToHttpStatus(kind), 300, 599);
            Assert.InRange(ErrorMapping.ToExitCode(kind), 1, 255);
        }
    }

    [Fact]
    public void FullMessageNamesEachCauseOnce()
    {
        var error = new HullException(ErrorKind.NotFound, "open /x", new IOException("no such file", new IOException("no such file")));
        Assert.Equal("open /x: no such file", error.FullMessage);
    }
}
