using System.Text;
using Hull.Core;

namespace Hull.ImagesFuzz.Tests;

/// <summary>
/// Parsers fed with damaged input made from a corpus: they may refuse it with the one error type, and nothing else. The seed
/// is printed with a failure; HULL_SOAK=1 runs many more rounds from a new seed.
/// </summary>
internal static class Damaged
{
    private static readonly bool Soak = Environment.GetEnvironmentVariable("HULL_SOAK") == "1";

    public static void Try(List<byte[]> corpus, int rounds, Action<byte[]> parse)
    {
        Assert.NotEmpty(corpus);
        var seed = Soak ? Environment.TickCount : 20_241_121;
        var random = new Random(seed);
        foreach (var bytes in corpus) Once(parse, bytes, seed, -1);
        for (var round = 0; round < rounds * (Soak ? 1000 : 1); round++) Once(parse, Damage(corpus, random), seed, round);
    }

    private static void Once(Action<byte[]> parse, byte[] bytes, int seed, int round)
    {
        try
        {
            parse(bytes);
        }
        catch (HullException error)
        {
            Assert.DoesNotContain('\n', error.Message);
        }
        catch (Exception error)
        {
            throw new InvalidOperationException($"seed {seed}, round {round}: {Convert.ToBase64String(bytes.AsSpan(0, Math.Min(bytes.Length, 2048)))}", error);
        }
    }

    private static byte[] Damage(List<byte[]> corpus, Random random)
    {
        var bytes = (byte[])corpus[random.Next(corpus.Count)].Clone();
        for (var times = random.Next(1, 6); times > 0 && bytes.Length > 0; times--)
        {
            var at = random.Next(bytes.Length);
            switch (random.Next(7))
            {
                case 0: bytes[at] ^= (byte)(1 << random.Next(8)); break;
                case 1: bytes[at] = (byte)random.Next(256); break;
                case 2: bytes = bytes[..at]; break;
                case 3: bytes = [.. bytes[..at], .. bytes[random.Next(bytes.Length)..]]; break;
                case 4: bytes.AsSpan(at, Math.Min(random.Next(1, 16), bytes.Length - at)).Fill((byte)"\0/.9\xff"[random.Next(5)]); break;
                case 5: Repair(bytes, at / 512 * 512, random); break;
                default: bytes = [.. bytes[..at], .. corpus[random.Next(corpus.Count)].Take(600), .. bytes[at..]]; break;
            }
        }

        return bytes;
    }

    /// <summary>Changes a header and makes its checksum right again, so that the damage is looked at.</summary>
    private static void Repair(byte[] bytes, int header, Random random)
    {
        if (header + 512 > bytes.Length) return;
        bytes[header + random.Next(512)] = (byte)"01234567\0/.xLKgS5\x80"[random.Next(18)];
        var block = bytes.AsSpan(header, 512);
        block[148..156].Fill((byte)' ');
        var sum = 0;
        foreach (var b in block) sum += b;
        Encoding.ASCII.GetBytes(Convert.ToString(sum, 8).PadLeft(6, '0') + "\0 ").CopyTo(block[148..]);
    }
}
