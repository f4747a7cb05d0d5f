using System.Buffers.Binary;

namespace Hull.Linux.Seccomp;

/// <summary>
/// Instructions put in front of a filter that denies by default. A call newer than every call the profile names is one its
/// author could not know; C libraries try such calls and fall back only on ENOSYS, so that, and not the profile's denial,
/// is the answer (what runc and crun do as well).
/// </summary>
internal static class UnknownCallGuard
{
    private const int NoSuchCall = 38; // ENOSYS
    private const uint ReturnErrno = 0x00050000; // SECCOMP_RET_ERRNO
    private const uint X32Bit = 0x40000000; // __X32_SYSCALL_BIT
    private const ushort LoadWord = 0x20; // BPF_LD | BPF_W | BPF_ABS
    private const ushort Jump = 0x05; // BPF_JMP | BPF_JA
    private const ushort JumpEqual = 0x15; // BPF_JMP | BPF_JEQ | BPF_K
    private const ushort JumpGreater = 0x25; // BPF_JMP | BPF_JGT | BPF_K
    private const ushort JumpGreaterEqual = 0x35; // BPF_JMP | BPF_JGE | BPF_K
    private const ushort Return = 0x06; // BPF_RET | BPF_K
    private const uint CallOffset = 0; // struct seccomp_data: nr
    private const uint ArchitectureOffset = 4; // struct seccomp_data: arch

    internal static bool AppliesTo(SeccompPolicy policy) => policy.DefaultAction switch
    {
        SeccompAction.Allow or SeccompAction.Log or SeccompAction.Trace => false,
        SeccompAction.Errno => policy.DefaultErrno != NoSuchCall,
        _ => true,
    };

    internal static byte[] Build(SeccompPolicy policy, IReadOnlyList<uint> architectures)
    {
        var newest = new Dictionary<uint, uint>();
        foreach (var token in architectures)
        {
            if (Newest(policy, token) is { } number) newest[token] = number;
        }

        var code = new List<byte>();
        Add(code, LoadWord, 0, 0, ArchitectureOffset);
        foreach (var (token, number) in newest)
        {
            // x32 is x86-64 to the kernel, with a bit set in the number: one block has both.
            if (token == LibSeccomp.ArchX32) continue;
            var hasX32 = newest.TryGetValue(LibSeccomp.ArchX32, out var newestX32);
            AddArchitecture(code, token, number, hasX32 ? newestX32 | X32Bit : null);
        }

        return [.. code];
    }

    private static void AddArchitecture(List<byte> code, uint token, uint newest, uint? newestX32)
    {
        var isX86 = token == LibSeccomp.ArchX86On64;
        // Each block keeps the architecture in the accumulator for the next one when it does not match.
        var block = new List<byte>();
        Add(block, LoadWord, 0, 0, CallOffset);
        if (isX86)
        {
            Add(block, JumpGreaterEqual, 0, 1, X32Bit);
            if (newestX32 is { } x32) Add(block, JumpGreater, 1, 2, x32);
            else Add(block, Jump, 0, 0, 2);
        }

        Add(block, JumpGreater, 0, 1, newest);
        Add(block, Return, 0, 0, ReturnErrno | NoSuchCall);
        Add(block, LoadWord, 0, 0, ArchitectureOffset);
        Add(code, JumpEqual, 0, (byte)(block.Count / 8), token);
        code.AddRange(block);
    }

    private static uint? Newest(SeccompPolicy policy, uint token)
    {
        var newest = -1;
        foreach (var rule in policy.Rules)
        {
            foreach (var name in rule.Names)
            {
                var call = LibSeccomp.ResolveCall(token, name);
                if (token == LibSeccomp.ArchX32 && call >= 0) call &= ~(int)X32Bit;
                newest = Math.Max(newest, call);
            }
        }

        return newest < 0 ? null : (uint)newest;
    }

    /// <summary>struct sock_filter.</summary>
    private static void Add(List<byte> code, ushort operation, byte ifTrue, byte ifFalse, uint constant)
    {
        Span<byte> instruction = stackalloc byte[8];
        if (BitConverter.IsLittleEndian)
        {
            BinaryPrimitives.WriteUInt16LittleEndian(instruction, operation);
            BinaryPrimitives.WriteUInt32LittleEndian(instruction[4..], constant);
        }
        else
        {
            BinaryPrimitives.WriteUInt16BigEndian(instruction, operation);
            BinaryPrimitives.WriteUInt32BigEndian(instruction[4..], constant);
        }

        instruction[2] = ifTrue;
        instruction[3] = ifFalse;
        code.AddRange(instruction);
    }
}
