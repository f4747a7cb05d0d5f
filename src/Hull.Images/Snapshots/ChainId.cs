using System.Text;
using Hull.Core;

namespace Hull.Images.Snapshots;

/// <summary>
/// Identity of a stack of layers (image-spec config.md, "Layer ChainID"): the lowest layer's is its diffID, every
/// other's the digest of <c>parent + " " + diffID</c>.
/// </summary>
public readonly record struct ChainId(Digest Digest)
{
    public static ChainId Of(ChainId? parent, Digest diffId) =>
        parent is { } below ? new ChainId(Digest.Sha256(Encoding.ASCII.GetBytes($"{below} {diffId}"))) : new ChainId(diffId);

    /// <summary>The chain of all these layers, lowest first; null for none.</summary>
    public static ChainId? Of(IEnumerable<Digest> diffIds)
    {
        ChainId? chain = null;
        foreach (var diffId in diffIds) chain = Of(chain, diffId);
        return chain;
    }

    public static ChainId Parse(string text) => new(Digest.Parse(text));

    public static bool TryParse(string text, out ChainId chain)
    {
        var parsed = Digest.TryParse(text, out var digest);
        chain = new ChainId(digest);
        return parsed;
    }

    public override string ToString() => Digest.ToString();
}
