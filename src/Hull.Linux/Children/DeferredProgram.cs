using System.Buffers.Binary;
using System.Text;
using Hull.Core;

namespace Hull.Linux.Children;

/// <summary>
/// A program that a child learns of only after it was cloned: memory of the child, known by its address, that a packet of its
/// parent fills. The packet holds the pointers themselves, because both have that memory at the same place.
/// <code>
/// 0                    argv, the address of the vector of arguments (execve(2))
/// 8                    envp
/// 16                   addresses of the paths to try, <see cref="MaxCandidates"/> of them
/// 16 + 8 * candidates  both vectors, each ended by 0, and the strings
/// </code>
/// </summary>
public sealed record DeferredProgram(nint Address)
{
    /// <summary>Bytes for the program with its arguments and environment; a packet of that size fits the socket's default buffer.</summary>
    public const int Size = 64 * 1024;

    /// <summary>The most directories in which a program can be searched for.</summary>
    public const int MaxCandidates = 16;

    private const int FirstCandidate = 2 * sizeof(long);
    private const int HeaderSize = FirstCandidate + (MaxCandidates * sizeof(long));

    internal nint ArgumentsAt => Address;

    internal nint EnvironmentAt => Address + sizeof(long);

    internal nint CandidateAt(int index) => Address + FirstCandidate + (index * sizeof(long));

    /// <summary>Whether a program can be given this way at all; others are named when the child is made.</summary>
    public static bool Fits(IReadOnlyList<string> arguments, IReadOnlyList<string> environment) =>
        Candidates(arguments, environment) is { Count: <= MaxCandidates } candidates && SizeOf(arguments, environment, candidates) <= Size;

    /// <summary>
    /// The packet for a program with its arguments, of which the first is searched for in the PATH of the environment as
    /// <see cref="ChildProgram.FindExecutable"/> does. Fails with <see cref="ErrorKind.InvalidArgument"/> where it does not fit.
    /// </summary>
    public byte[] Compose(IReadOnlyList<string> arguments, IReadOnlyList<string> environment)
    {
        var candidates = Candidates(arguments, environment);
        if (!Fits(arguments, environment)) throw HullException.Invalid($"the program {arguments[0]} with its arguments and environment takes more than {Size} bytes");
        var packet = new byte[SizeOf(arguments, environment, candidates)];
        var vectors = HeaderSize;
        var text = HeaderSize + VectorsSize(arguments, environment);
        // The string that is nobody's path: execve(2) and its like answer ENOENT for it.
        var nothing = Address + text++;
        for (var index = 0; index < MaxCandidates; index++)
            SetPointer(packet, FirstCandidate + (index * sizeof(long)), index < candidates.Count ? Put(candidates[index]) : nothing);
        SetPointer(packet, 0, PutVector(arguments));
        SetPointer(packet, sizeof(long), PutVector(environment));
        return packet;

        nint PutVector(IReadOnlyList<string> strings)
        {
            var at = Address + vectors;
            foreach (var item in strings)
            {
                SetPointer(packet, vectors, Put(item));
                vectors += sizeof(long);
            }

            vectors += sizeof(long);
            return at;
        }

        nint Put(string item)
        {
            var at = Address + text;
            text += Encoding.UTF8.GetBytes(item, packet.AsSpan(text)) + 1;
            return at;
        }
    }

    private static void SetPointer(byte[] packet, int at, nint value) => BinaryPrimitives.WriteInt64LittleEndian(packet.AsSpan(at), value);

    private static IReadOnlyList<string> Candidates(IReadOnlyList<string> arguments, IReadOnlyList<string> environment) =>
        ChildProgram.Candidates(arguments[0], ChildProgram.SearchPath(environment));

    private static int VectorsSize(IReadOnlyList<string> arguments, IReadOnlyList<string> environment) =>
        (arguments.Count + environment.Count + 2) * sizeof(long);

    private static int SizeOf(IReadOnlyList<string> arguments, IReadOnlyList<string> environment, IReadOnlyList<string> candidates) =>
        HeaderSize + VectorsSize(arguments, environment) + 1 + arguments.Concat(environment).Concat(candidates).Sum(item => Encoding.UTF8.GetByteCount(item) + 1);
}
