using System.Net;
using Hull.Core;

namespace Hull.Network;

/// <summary>
/// Answers queries: names and addresses of instances itself, everything else through the upstream servers, except from
/// internal networks, which learn nothing of the outside.
/// </summary>
internal sealed class DnsResolver(NameTable names, DnsForwarder forwarder)
{
    /// <summary>Answers of ours are valid for the moment only: instances come and go.</summary>
    private const uint TimeToLive = 0;

    /// <summary>The answer to one query, or null where there is to be none.</summary>
    public async Task<byte[]?> AnswerAsync(ReadOnlyMemory<byte> query, NetworkRecord network, IPAddress asker, bool overTcp, CancellationToken cancellation)
    {
        var code = DnsMessage.TryParseQuery(query.Span, out var question);
        if (code is null) return null;
        if (code != DnsCode.NoError) return DnsMessage.Refuse(query.Span, question with { End = DnsMessage.HeaderSize }, code.Value);
        if (question.Class == 1 && AnswerLocally(query.Span, question, network, asker, overTcp) is { } answer) return answer;
        if (network.Spec.Internal) return DnsMessage.Refuse(query.Span, question, DnsCode.NameError);
        var servers = names.ServersFor(network.Id, asker);
        return await forwarder.ForwardAsync(query, question, servers, overTcp, cancellation)
            ?? DnsMessage.Refuse(query.Span, question, DnsCode.ServerFailure);
    }

    private byte[]? AnswerLocally(ReadOnlySpan<byte> query, in DnsQuestion question, NetworkRecord network, IPAddress asker, bool overTcp)
    {
        if (!network.HasNames) return null;
        var limit = overTcp ? 65535 : question.PayloadSize;
        if (question.Type == DnsType.Ptr)
        {
            if (DnsMessage.TryParseReverse(question.Name) is not { } address || names.FindReverse(network.Id, asker, address) is not { } name) return null;
            return DnsMessage.Answer(query, question, DnsCode.NoError, [], [name], TimeToLive, limit);
        }

        var found = names.Find(network.Id, asker, question.Name, question.Type);
        return found.Known ? DnsMessage.Answer(query, question, DnsCode.NoError, found.Addresses, [], TimeToLive, limit) : null;
    }
}
