using Hull.Core;
using Hull.Runtime.Checkpoints;

namespace Hull.Runtime.Tests;

/// <summary>Messages of criu's RPC as bytes.</summary>
public sealed class CriuMessageTests
{
    [Fact]
    public void ARequestIsWrittenInTheWireFormat()
    {
        var request = new CriuRequest(CriuRequestType.Dump);
        request.Process(300);
        request.Root("/r");
        Assert.Equal("08011207" + "10AC02" + "6A022F72", Convert.ToHexString(request.ToArray()));
        Assert.Equal("08061801", Convert.ToHexString(CriuRequest.Acknowledgement()));
    }

    [Fact]
    public void AnAnswerIsRead()
    {
        var message = new ProtocolBufferWriter().Number(1, 2).Flag(2, true).Message(4, new ProtocolBufferWriter().Number(1, 4711)).Number(99, 5).Text(98, "later").ToArray();
        Assert.Equal(new CriuResponse(CriuRequestType.Restore, true, 4711, "", 0, ""), CriuResponse.Parse(message));
        var step = new ProtocolBufferWriter().Number(1, 6).Number(2, 1).Message(5, new ProtocolBufferWriter().Text(1, "setup-namespaces").Number(2, 12)).ToArray();
        Assert.Equal(new CriuResponse(CriuRequestType.Notify, true, 12, "setup-namespaces", 0, ""), CriuResponse.Parse(step));
    }

    [Theory]
    [InlineData("08")]
    [InlineData("0A7F")]
    [InlineData("FFFFFFFFFFFFFFFFFFFFFF")]
    [InlineData("0B")]
    [InlineData("0AFFFFFFFFFFFFFFFFFF01")]
    public void WhatIsNoMessageIsRefused(string bytes) =>
        Assert.Equal(ErrorKind.DataCorrupted, Assert.Throws<HullException>(() => CriuResponse.Parse(Convert.FromHexString(bytes))).Kind);
}
