using System.Text;
using Hull.Core;
using Hull.Linux;
using Hull.Linux.Abi;
using Hull.Linux.Files;
using Hull.Linux.Syscalls;

namespace Hull.Runtime.State;

/// <summary>Tells a process from a later one that got the same number, by its start time.</summary>
public static class ProcessIdentity
{
    /// <summary>The start time of field 22 of /proc/[pid]/stat, or null where there is no such process or only a zombie.</summary>
    public static ulong? StartTimeOf(int pid)
    {
        Span<byte> buffer = stackalloc byte[1024];
        return Parse(ReadStat(pid, buffer));
    }

    /// <summary>Whether a process, which may be a zombie, ever executed a program: PF_FORKNOEXEC of field 9 says it did not.</summary>
    internal static bool HasExecuted(int pid)
    {
        const uint ForkedWithoutExec = 0x40; // include/linux/sched.h
        Span<byte> buffer = stackalloc byte[1024];
        return FieldsAfterName(ReadStat(pid, buffer)) is not { Length: > 6 } fields || !uint.TryParse(fields[6], out var flags) || (flags & ForkedWithoutExec) == 0;
    }

    private static ReadOnlySpan<byte> ReadStat(int pid, Span<byte> buffer)
    {
        var result = FileCalls.OpenAt(Fcntl.AT_FDCWD, $"/proc/{pid}/stat", Fcntl.O_RDONLY);
        if (result < 0) return default;
        using var file = new SafeFd((int)result);
        var count = FileCalls.Read(file.Value, buffer);
        return count <= 0 ? default : buffer[..(int)count];
    }

    internal static bool IsAlive(StoredState state) => state.Pid > 0 && StartTimeOf(state.Pid) == state.StartTime;

    /// <summary>A pidfd of init, or null where it is gone.</summary>
    internal static SafeFd? TryOpen(StoredState state)
    {
        if (state.Pid <= 0) return null;
        var result = ProcessCalls.PidfdOpen(state.Pid);
        if (result < 0) return null;
        var pidfd = new SafeFd((int)result);
        // Looked at after the descriptor was opened: now it is known whose it is.
        if (IsAlive(state)) return pidfd;
        pidfd.Dispose();
        return null;
    }

    internal static ulong? Parse(ReadOnlySpan<byte> stat) =>
        FieldsAfterName(stat) is { Length: > 19 } fields && fields[0] is not ("Z" or "X" or "x") && ulong.TryParse(fields[19], out var start) ? start : null;

    /// <summary>The name in parentheses may hold anything, so fields are counted from its end.</summary>
    private static string[] FieldsAfterName(ReadOnlySpan<byte> stat)
    {
        var end = stat.LastIndexOf((byte)')');
        return end < 0 ? [] : Encoding.ASCII.GetString(stat[(end + 1)..]).Split(' ', StringSplitOptions.RemoveEmptyEntries);
    }
}
