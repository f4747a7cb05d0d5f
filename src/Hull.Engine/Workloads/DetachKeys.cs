using Hull.Core;
using Hull.Engine.Drivers;

namespace Hull.Engine.Workloads;

/// <summary>
/// Watches the input of an attachment for the key sequence that detaches. Keys that begin a sequence are held back until
/// it is clear that they are not part of one.
/// </summary>
internal sealed class DetachKeysAttachment(IAttachment inner, byte[] sequence, Action onDetach) : IAttachment
{
    private readonly CancellationTokenSource _detached = new();
    private int _matched;

    public bool Terminal => inner.Terminal;

    /// <summary>The bytes of a list such as <c>ctrl-p,ctrl-q</c>; throws <see cref="ErrorKind.InvalidArgument"/>.</summary>
    public static byte[] Parse(string keys)
    {
        if (keys.Length == 0) return [];
        return [.. keys.Split(',').Select(ParseKey)];
    }

    public async ValueTask<OutputChunk> ReadAsync(Memory<byte> buffer, CancellationToken cancellationToken)
    {
        using var linked = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken, _detached.Token);
        try
        {
            return await inner.ReadAsync(buffer, linked.Token).ConfigureAwait(false);
        }
        catch (OperationCanceledException) when (_detached.IsCancellationRequested)
        {
            return default;
        }
    }

    public async ValueTask WriteInputAsync(ReadOnlyMemory<byte> bytes, CancellationToken cancellationToken)
    {
        if (_detached.IsCancellationRequested) return;
        var passed = new List<byte>(bytes.Length + sequence.Length);
        foreach (var key in bytes.ToArray())
        {
            if (key == sequence[_matched])
            {
                if (++_matched < sequence.Length) continue;
                await _detached.CancelAsync().ConfigureAwait(false);
                onDetach();
                break;
            }

            passed.AddRange(sequence.AsSpan(0, _matched));
            _matched = key == sequence[0] ? 1 : 0;
            if (_matched == 0) passed.Add(key);
        }

        if (passed.Count > 0) await inner.WriteInputAsync(passed.ToArray(), cancellationToken).ConfigureAwait(false);
    }

    public ValueTask CloseInputAsync() => inner.CloseInputAsync();

    public ValueTask DisposeAsync() => inner.DisposeAsync();

    private static byte ParseKey(string key)
    {
        if (key.Length == 1 && char.IsAscii(key[0])) return (byte)key[0];
        if (key.StartsWith("ctrl-", StringComparison.OrdinalIgnoreCase) && key.Length == 6)
        {
            var letter = char.ToLowerInvariant(key[5]);
            if (letter is >= 'a' and <= 'z') return (byte)(letter - 'a' + 1);
            var sign = "@[\\]^_".IndexOf(letter);
            if (sign >= 0) return (byte)(sign == 0 ? 0 : 26 + sign);
        }

        throw HullException.Invalid($"invalid detach keys: '{key}' is neither a letter nor ctrl- with a letter");
    }
}
