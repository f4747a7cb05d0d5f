using Hull.Core;
using Hull.Linux.Abi;
using Hull.Linux.Syscalls;
using static Hull.Linux.Abi.Bpf;

namespace Hull.Linux.Cgroups;

/// <summary>
/// Device policies of cgroup v2: a small eBPF program of type CGROUP_DEVICE that the kernel runs at every open and mknod
/// (Documentation/admin-guide/cgroup-v2.rst, "Device controller"). It gets struct bpf_cgroup_dev_ctx and answers 1 or 0.
/// </summary>
internal static class DeviceProgram
{
    // Instruction classes and operations of linux/bpf_common.h and linux/bpf.h.
    private const byte LoadWord = 0x61; // BPF_LDX | BPF_MEM | BPF_W
    private const byte And32 = 0x54; // BPF_ALU | BPF_AND | BPF_K
    private const byte ShiftRight32 = 0x74; // BPF_ALU | BPF_RSH | BPF_K
    private const byte Move32 = 0xbc; // BPF_ALU | BPF_MOV | BPF_X
    private const byte Move64Constant = 0xb7; // BPF_ALU64 | BPF_MOV | BPF_K
    private const byte JumpIfNotConstant = 0x55; // BPF_JMP | BPF_JNE | BPF_K
    private const byte JumpIfConstant = 0x15; // BPF_JMP | BPF_JEQ | BPF_K
    private const byte JumpIfNot = 0x5d; // BPF_JMP | BPF_JNE | BPF_X
    private const byte ExitCode = 0x95; // BPF_JMP | BPF_EXIT

    private const int Kind = 2;
    private const int Access = 3;
    private const int Major = 4;
    private const int Minor = 5;
    private const int Scratch = 1;

    /// <summary>The instructions of a policy, each a struct bpf_insn.</summary>
    internal static ulong[] Build(DevicePolicy policy)
    {
        var code = new List<ulong>
        {
            Instruction(LoadWord, Kind, 1, 0, 0),
            Instruction(And32, Kind, 0, 0, 0xFFFF),
            Instruction(LoadWord, Access, 1, 0, 0),
            Instruction(ShiftRight32, Access, 0, 0, 16),
            Instruction(LoadWord, Major, 1, 4, 0),
            Instruction(LoadWord, Minor, 1, 8, 0),
        };
        foreach (var (key, access) in policy.Exceptions) AddException(code, key, access, !policy.AllowsByDefault);
        AddVerdict(code, policy.AllowsByDefault);
        return [.. code];
    }

    /// <summary>One exception: where anything does not match, on to the next.</summary>
    private static void AddException(List<ulong> code, DeviceKey key, DeviceAccess access, bool allow)
    {
        var block = new List<ulong>();
        var jumps = new List<int>();
        Jump(Instruction(JumpIfNotConstant, Kind, 0, 0, key.Kind == DeviceKind.Block ? BPF_DEVCG_DEV_BLOCK : BPF_DEVCG_DEV_CHAR));
        if (access != DeviceAccess.All)
        {
            block.Add(Instruction(Move32, Scratch, Access, 0, 0));
            block.Add(Instruction(And32, Scratch, 0, 0, (int)access));
            // Allowed is what asks for nothing more; denied what asks for any of it.
            Jump(allow ? Instruction(JumpIfNot, Scratch, Access, 0, 0) : Instruction(JumpIfConstant, Scratch, 0, 0, 0));
        }

        if (key.Major is { } major) Jump(Instruction(JumpIfNotConstant, Major, 0, 0, checked((int)major)));
        if (key.Minor is { } minor) Jump(Instruction(JumpIfNotConstant, Minor, 0, 0, checked((int)minor)));
        AddVerdict(block, allow);
        // The offset of a jump counts from the instruction after it.
        foreach (var index in jumps) block[index] |= (ulong)(ushort)(block.Count - index - 1) << 16;
        code.AddRange(block);

        void Jump(ulong instruction)
        {
            jumps.Add(block.Count);
            block.Add(instruction);
        }
    }

    private static void AddVerdict(List<ulong> code, bool allow)
    {
        code.Add(Instruction(Move64Constant, 0, 0, 0, allow ? 1 : 0));
        code.Add(Instruction(ExitCode, 0, 0, 0, 0));
    }

    private static ulong Instruction(byte code, int destination, int source, short offset, int constant) =>
        code | (ulong)(uint)(destination | source << 4) << 8 | (ulong)(ushort)offset << 16 | (ulong)(uint)constant << 32;

    /// <summary>
    /// Policies of containers are mostly the same, and the kernel's verifier looks at a program for longer than all else
    /// takes to make a cgroup: the last one is kept.
    /// </summary>
    private static SafeFd Load(ulong[] code)
    {
        lock (s_last)
        {
            if (s_program is null || !code.AsSpan().SequenceEqual(s_code))
            {
                var program = BpfCalls.Load(code);
                s_program?.Dispose();
                (s_program, s_code) = (program, code);
            }

            return s_program.Duplicate();
        }
    }

    private static readonly Lock s_last = new();
    private static SafeFd? s_program;
    private static ulong[] s_code = [];

    /// <summary>
    /// Loads the program and makes it the cgroup's only one. Where one is there already it is replaced in one step, so that
    /// at no moment the container has no policy or one it should not have.
    /// </summary>
    internal static void Attach(string directory, DevicePolicy policy, bool fresh)
    {
        using var program = Load(Build(policy));
        using var cgroup = CgroupFile.Open(directory, Fcntl.O_RDONLY | Fcntl.O_DIRECTORY);
        var old = fresh ? [] : BpfCalls.Query(cgroup);
        try
        {
            if (old.Count == 1 && BpfCalls.Attach(cgroup, program, BPF_F_ALLOW_MULTI | BPF_F_REPLACE, old[0]) >= 0) return;
            Check.Result(BpfCalls.Attach(cgroup, program, BPF_F_ALLOW_MULTI, null), $"attach the device program to cgroup {directory}");
            foreach (var before in old) Check.Result(BpfCalls.Detach(cgroup, before), $"detach a device program from cgroup {directory}");
        }
        finally
        {
            foreach (var before in old) before.Dispose();
        }
    }
}
