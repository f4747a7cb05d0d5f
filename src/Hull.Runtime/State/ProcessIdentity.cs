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
        var result = FileCalls.OpenAt(Fcntl.AT_FDCWD, $"/proc/{pid}/stat", Fcntl.O_RDONLY);
        if (result < 0) return null;
        using var file = new SafeFd((int)result);
        Span<byte> buffer = stackalloc byte[1024];
        var count = FileCalls.Read(file.Value, buffer);
        return count <= 0 ? null : Parse(buffer[..(int)count]);
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

    /// <summary>The name in parentheses may hold anything, so fields are counted from its end.</summary>
    internal static ulong? Parse(ReadOnlySpan<byte> stat)
    {
        var end = stat.LastIndexOf((byte)')');
        if (end < 0) return null;
        var fields = Encoding.ASCII.GetString(stat[(end + 1)..]).Split(' ', StringSplitOptions.RemoveEmptyEntries);
        return fields.Length > 19 && fields[0] is not ("Z" or "X" or "x") && ulong.TryParse(fields[19], out var start) ? start : null;
    }
}
