using System.Runtime.InteropServices;
using Hull.Linux.Abi;
using Hull.Linux.Syscalls;
using static Hull.Linux.Abi.Bpf;
using static Hull.Linux.Abi.SyscallNumber;

namespace Hull.Linux.Cgroups;

/// <summary>bpf(2) for programs of cgroups. Each struct is the part of union bpf_attr its command reads, which begins at 0.</summary>
internal static unsafe class BpfCalls
{
    [StructLayout(LayoutKind.Sequential)]
    private struct LoadAttributes
    {
        internal uint Type;
        internal uint InstructionCount;
        internal ulong Instructions;
        internal ulong License;
        internal uint LogLevel;
        internal uint LogSize;
        internal ulong LogBuffer;
        internal uint KernelVersion;
        internal uint Flags;
    }

    [StructLayout(LayoutKind.Sequential)]
    private struct AttachAttributes
    {
        internal uint Target;
        internal uint Program;
        internal uint Type;
        internal uint Flags;
        internal uint Replaced;
    }

    [StructLayout(LayoutKind.Sequential)]
    private struct QueryAttributes
    {
        internal uint Target;
        internal uint Type;
        internal uint QueryFlags;
        internal uint AttachFlags;
        internal ulong ProgramIds;
        internal uint ProgramCount;
        internal uint Padding;
    }

    [StructLayout(LayoutKind.Sequential)]
    private struct IdAttributes
    {
        internal uint Id;
        internal uint Next;
        internal uint Flags;
    }

    internal static SafeFd Load(ReadOnlySpan<ulong> instructions)
    {
        // SAFETY: instructions and license are pinned for the call, the count is theirs, and the attributes are those of
        // BPF_PROG_LOAD; the kernel takes the rest of the union as zero.
        fixed (ulong* code = instructions)
        fixed (byte* license = "Apache\0"u8)
        {
            var attributes = new LoadAttributes
            {
                Type = BPF_PROG_TYPE_CGROUP_DEVICE, InstructionCount = (uint)instructions.Length,
                Instructions = (ulong)code, License = (ulong)license,
            };
            return Check.Descriptor(Kernel.Call(SYS_bpf, BPF_PROG_LOAD, (nint)(&attributes), sizeof(LoadAttributes)),
                $"load a device program of {instructions.Length} instructions");
        }
    }

    internal static nint Attach(SafeFd cgroup, SafeFd program, uint flags, SafeFd? replaced)
    {
        var attributes = new AttachAttributes
        {
            Target = (uint)cgroup.Value, Program = (uint)program.Value, Type = BPF_CGROUP_DEVICE, Flags = flags,
            Replaced = (uint)(replaced?.Value ?? 0),
        };
        // SAFETY: the attributes are on this stack for the call, with their own size.
        return Kernel.Call(SYS_bpf, BPF_PROG_ATTACH, (nint)(&attributes), sizeof(AttachAttributes));
    }

    internal static nint Detach(SafeFd cgroup, SafeFd program)
    {
        var attributes = new AttachAttributes { Target = (uint)cgroup.Value, Program = (uint)program.Value, Type = BPF_CGROUP_DEVICE };
        // SAFETY: the attributes are on this stack for the call, with their own size.
        return Kernel.Call(SYS_bpf, BPF_PROG_DETACH, (nint)(&attributes), sizeof(AttachAttributes));
    }

    /// <summary>The programs attached to this very cgroup.</summary>
    internal static IReadOnlyList<SafeFd> Query(SafeFd cgroup)
    {
        const int Most = 64; // BPF_CGROUP_MAX_PROGS
        var ids = stackalloc uint[Most];
        var attributes = new QueryAttributes
        {
            Target = (uint)cgroup.Value, Type = BPF_CGROUP_DEVICE, ProgramIds = (ulong)ids, ProgramCount = Most,
        };
        // SAFETY: ids has room for ProgramCount numbers; the kernel writes at most as many and sets the count.
        Check.Result(Kernel.Call(SYS_bpf, BPF_PROG_QUERY, (nint)(&attributes), sizeof(QueryAttributes)), $"list the device programs of a cgroup");
        var programs = new List<SafeFd>();
        for (var i = 0; i < attributes.ProgramCount; i++)
        {
            var id = new IdAttributes { Id = ids[i] };
            // SAFETY: the attributes are on this stack for the call, with their own size.
            var descriptor = Kernel.Call(SYS_bpf, BPF_PROG_GET_FD_BY_ID, (nint)(&id), sizeof(IdAttributes));
            // One that was detached meanwhile is gone.
            if (descriptor >= 0) programs.Add(new SafeFd((int)descriptor));
        }

        return programs;
    }
}
