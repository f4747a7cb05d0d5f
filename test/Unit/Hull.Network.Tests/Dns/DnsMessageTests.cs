using System.Net;

namespace Hull.Network.Tests.Dns;

public sealed class DnsMessageTests
{
    [Fact]
    public void A_query_is_read_with_its_edns_size()
    {
        byte[] query = [.. DnsClient.Build("Web.Own", DnsType.A), 0, 0, 41, 0x10, 0, 0, 0, 0, 0, 0, 0];
        query[11] = 1;
        Assert.Equal(DnsCode.NoError, DnsMessage.TryParseQuery(query, out var question));
        Assert.Equal(("web.own", DnsType.A, 0x1234, 1232), (question.Name, question.Type, (int)question.Id, question.PayloadSize));
    }

    [Fact]
    public void An_answer_too_long_for_udp_is_cut_and_marked()
    {
        var query = DnsClient.Build("many", DnsType.A);
        DnsMessage.TryParseQuery(query, out var question);
        var addresses = Enumerable.Range(1, 100).Select(i => new IPAddress([10, 0, 0, (byte)i])).ToList();
        var answer = DnsMessage.Answer(query, question, DnsCode.NoError, addresses, [], 0, question.PayloadSize);
        Assert.True(answer.Length <= 512);
        Assert.Equal(2, answer[2] & 2);
        Assert.Equal(100, DnsClient.Parse(DnsMessage.Answer(query, question, DnsCode.NoError, addresses, []), query.Length).Addresses.Count);
    }

    [Theory]
    [InlineData("4.3.2.1.in-addr.arpa", "1.2.3.4")]
    [InlineData("9.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.ip6.arpa", "2001:db8::9")]
    [InlineData("3.2.1.in-addr.arpa", null)]
    [InlineData("256.3.2.1.in-addr.arpa", null)]
    [InlineData("x.ip6.arpa", null)]
    public void Reverse_names(string name, string? address) => Assert.Equal(address, DnsMessage.TryParseReverse(name)?.ToString());

    [Theory]
    [InlineData("")]
    [InlineData("1234")]
    [InlineData("123401000001000000000000")]
    [InlineData("123401000001000000000000c00c00010001")]
    [InlineData("12340100000100000000000003777777")]
    [InlineData("123401000002000000000000000001000100000100")]
    public void What_is_no_query_is_refused(string hex) =>
        Assert.NotEqual(DnsCode.NoError, DnsMessage.TryParseQuery(Convert.FromHexString(hex), out _));

    [Fact]
    public void A_response_is_never_answered()
    {
        var query = DnsClient.Build("x", DnsType.A);
        query[2] |= 0x80;
        Assert.Null(DnsMessage.TryParseQuery(query, out _));
    }

    [Fact]
    public void An_answer_to_another_question_is_not_taken()
    {
        var query = DnsClient.Build("right.test", DnsType.A);
        DnsMessage.TryParseQuery(query, out var question);
        var good = DnsMessage.Answer(query, question, DnsCode.NoError, [], []);
        Assert.True(DnsMessage.Answers(good, query, question));
        var otherId = good.ToArray();
        otherId[0] ^= 1;
        var otherName = good.ToArray();
        otherName[13] ^= 1;
        Assert.False(DnsMessage.Answers(otherId, query, question));
        Assert.False(DnsMessage.Answers(otherName, query, question));
        Assert.False(DnsMessage.Answers(query, query, question));
    }

    [Fact]
    public void Mutated_queries_are_read_or_refused_and_their_answers_are_whole()
    {
        var rounds = Environment.GetEnvironmentVariable("HULL_SOAK") == "1" ? 20_000_000 : 200_000;
        var random = new Random(20240601);
        byte[] seed = [.. DnsClient.Build("a.bc.example.test", DnsType.Aaaa), 0, 0, 41, 0x10, 0, 0, 0, 0, 0, 0, 0];
        for (var round = 0; round < rounds; round++)
        {
            var bytes = random.Next(4) == 0 ? new byte[random.Next(0, 80)] : seed.ToArray();
            for (var change = random.Next(1, 6); change > 0 && bytes.Length > 0; change--) bytes[random.Next(bytes.Length)] = (byte)random.Next(256);
            if (random.Next(3) == 0) bytes = bytes[..random.Next(bytes.Length + 1)];
            if (DnsMessage.TryParseQuery(bytes, out var question) is not { } code) continue;
            Assert.True(question.End <= bytes.Length && question.Name.Length <= 1024);
            if (code != DnsCode.NoError) question = question with { End = DnsMessage.HeaderSize };
            var answer = DnsMessage.Answer(bytes, question, code, [IPAddress.Loopback], [], 0, 512);
            Assert.True(answer.Length <= 512 + 16 && answer.Length >= question.End);
            _ = DnsMessage.TryParseReverse(question.Name);
        }
    }

    [Fact]
    public void A_resolv_conf_is_read_as_resolv_conf_5_says()
    {
        var read = HostResolver.Parse(["# comment", "nameserver 10.0.0.1", "nameserver fe80::1%eth0", "nameserver nonsense", "domain one.test", "search two.test three.test", "options ndots:2  edns0", "junk"]);
        Assert.Equal("10.0.0.1", read.Servers[0].ToString());
        Assert.Equal(["two.test", "three.test"], read.Search);
        Assert.Equal(["ndots:2", "edns0"], read.Options);
    }
}
