using System.Buffers.Binary;
using System.Text;
using Hull.Core;
using Hull.Linux.Abi;
using Hull.Linux.Seccomp;
using static Hull.Linux.Abi.SyscallNumber;

namespace Hull.Linux.Tracing;

/// <summary>Makes a fresh copy of a process, of which only one thread is there and stopped, what it is to be.</summary>
internal sealed class TwinBuilder
{
    private const ulong ScratchBytes = 1 << 16;
    private const int ReadWrite = 3; // PROT_READ | PROT_WRITE
    private const int PrivateAnonymous = 0x22; // MAP_PRIVATE | MAP_ANONYMOUS
    private const int CloseOnExec = 0x80000; // O_CLOEXEC
    private const int DetachMount = 2; // MNT_DETACH
    private const int NoNewPrivileges = 38; // PR_SET_NO_NEW_PRIVS
    private const int FilterMode = 1; // SECCOMP_SET_MODE_FILTER
    private const int DropCapability = 24; // PR_CAPBSET_DROP

    private readonly TracedThread _main;
    private readonly ProcessMemory _memory;
    private readonly ulong _giver;
    private readonly ulong _scratch;

    /// <param name="giver">In the twin, the pidfd of this process.</param>
    public TwinBuilder(TracedThread main, ProcessMemory memory, ulong giver)
    {
        (_main, _memory, _giver) = (main, memory, giver);
        _scratch = main.Require("find room", SYS_mmap, 0, ScratchBytes, ReadWrite, PrivateAnonymous, ulong.MaxValue);
    }

    /// <summary>Has the twin, which has one thread, put itself into cgroups.</summary>
    public void EnterCgroups(IReadOnlyList<SafeFd> files)
    {
        if (files.Count == 0) return;
        _memory.Write(_scratch, "0"u8);
        foreach (var file in files)
        {
            var taken = Require("take a descriptor", SYS_pidfd_getfd, _giver, (ulong)file.Value);
            Require("enter a cgroup", SYS_write, taken, _scratch, 1);
            Require("close a descriptor", SYS_close, taken);
        }
    }

    /// <summary>Puts the given open files in the place of the original's.</summary>
    public void ExchangeDescriptors(IReadOnlyDictionary<int, SafeFd> descriptors)
    {
        foreach (var (number, file) in descriptors)
        {
            var taken = Require("take a descriptor", SYS_pidfd_getfd, _giver, (ulong)file.Value);
            Require("place a descriptor", SYS_dup3, taken, (ulong)number, CloseOnExec);
            Require("close a descriptor", SYS_close, taken);
        }
    }

    /// <summary>Gives it event counters of its own.</summary>
    public void RenewCounters(IReadOnlyList<(int Number, ulong Count, uint Flags)> counters)
    {
        foreach (var (number, count, flags) in counters.OrderBy(counter => counter.Number))
        {
            const uint allowed = CloseOnExec | 0x800; // O_NONBLOCK
            var made = Require("make an event counter", SYS_eventfd2, count, flags & allowed);
            Require("take an event counter", SYS_dup3, made, (ulong)number, flags & CloseOnExec);
            Require("close a descriptor", SYS_close, made);
        }
    }

    /// <summary>Makes the other threads again.</summary>
    public IReadOnlyList<TracedThread> MakeThreads(IEnumerable<TracedThread> originals, int threadIdOffset)
    {
        const ulong flags = CloneFlags.CLONE_VM | CloneFlags.CLONE_FS | CloneFlags.CLONE_FILES | CloneFlags.CLONE_SIGHAND | CloneFlags.CLONE_THREAD |
            CloneFlags.CLONE_SYSVSEM | CloneFlags.CLONE_SETTLS | CloneFlags.CLONE_CHILD_SETTID | CloneFlags.CLONE_CHILD_CLEARTID;
        var made = new List<TracedThread>();
        foreach (var original in originals)
        {
            var area = original.Saved.fs_base;
            var thread = _main.Clone(flags, 0, area + (ulong)threadIdOffset, area);
            thread.DieWithTracer();
            thread.Become(original);
            made.Add(thread);
        }

        return made;
    }

    public void Unmount(IReadOnlyList<string> paths)
    {
        foreach (var path in paths)
        {
            _memory.Write(_scratch, Encoding.UTF8.GetBytes(path + "\0"));
            Require($"unmount {path}", SYS_umount2, _scratch, DetachMount);
        }
    }

    /// <summary>So that it can gain none of them any more once it is another user.</summary>
    public void DropCapabilities()
    {
        for (var capability = 0UL; _main.Call(SYS_prctl, DropCapability, capability) >= 0; capability++)
        {
            // Until one that the kernel does not know.
        }
    }

    /// <summary>Takes every privilege away, while the twin has one thread: those that follow inherit what it may not.</summary>
    /// <param name="userId">0 keeps the original's.</param>
    public void Confine(uint userId, SeccompProgram? program)
    {
        Require("close a descriptor", SYS_close, _giver);
        if (userId != 0)
        {
            Require("drop groups", SYS_setgroups, 0, 0);
            Require("set the group", SYS_setresgid, userId, userId, userId);
            Require("set the user", SYS_setresuid, userId, userId, userId);
        }

        Require("refuse new privileges", SYS_prctl, NoNewPrivileges, 1);
        if (program is not { } filter) return;
        const int headerBytes = 16; // struct sock_fprog
        if (filter.Instructions.Length > (int)ScratchBytes - headerBytes) throw HullException.Invalid("the seccomp filter is too long");
        Span<byte> header = stackalloc byte[headerBytes];
        BinaryPrimitives.WriteUInt16LittleEndian(header, (ushort)filter.Count);
        BinaryPrimitives.WriteUInt64LittleEndian(header[8..], _scratch + headerBytes);
        _memory.Write(_scratch, header);
        _memory.Write(_scratch + headerBytes, filter.Instructions);
        Require("confine itself", SYS_seccomp, FilterMode, filter.Flags, _scratch);
    }

    private ulong Require(string what, nint number, ulong a = 0, ulong b = 0, ulong c = 0, ulong d = 0, ulong e = 0) =>
        _main.Require(what, number, a, b, c, d, e);

    /// <summary>Puts a text in the place of one of its command line, of the same length.</summary>
    public void Rename(string old, string name)
    {
        if (old.Length != name.Length) throw HullException.Invalid($"'{name}' is not as long as '{old}'");
        var (start, end) = ProcessMemory.CommandLine(_main.Id);
        var line = new byte[end - start];
        _memory.Read(start, line);
        var at = line.AsSpan().IndexOf(Encoding.UTF8.GetBytes(old));
        if (at >= 0) _memory.Write(start + (ulong)at, Encoding.UTF8.GetBytes(name));
    }
}
