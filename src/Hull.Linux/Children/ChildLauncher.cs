using Hull.Core;
using Hull.Linux.Abi;
using Hull.Linux.Syscalls;
using static Hull.Linux.Abi.SyscallNumber;

namespace Hull.Linux.Children;

/// <summary>Where and into what a child is cloned.</summary>
public sealed record CloneOptions
{
    /// <summary>CLONE_NEW* flags.</summary>
    public ulong Namespaces { get; init; }

    /// <summary>A cgroup v2 directory the child is born into (CLONE_INTO_CGROUP).</summary>
    public int? Cgroup { get; init; }

    /// <summary>A pid namespace the child is born into.</summary>
    public SafeFd? PidNamespace { get; init; }
}

/// <summary>Makes a child that runs a <see cref="ChildProgram"/>.</summary>
public static unsafe class ChildLauncher
{
    private const int SignalSetSize = 8;

    /// <summary>Clones this process. The child is this process's own and must be collected.</summary>
    public static (int Pid, SafeFd Pidfd) Start(ChildProgram program, CloneOptions options)
    {
        var clone = new CloneArgs
        {
            flags = options.Namespaces | CloneFlags.CLONE_CLEAR_SIGHAND,
            exit_signal = 17, // SIGCHLD
        };
        if (options.Cgroup is { } cgroup)
        {
            clone.flags |= CloneFlags.CLONE_INTO_CGROUP;
            clone.cgroup = (ulong)cgroup;
        }

        var context = program.Compile(clone, out var pidfd);
        if (options.PidNamespace is null) return Clone(context, pidfd);

        // Only children of this thread are affected, and a thread with another pid namespace for its children cannot make
        // threads; nothing but the clone happens before it is put back.
        using var own = Check.Descriptor(FileCalls.OpenAt(Fcntl.AT_FDCWD, "/proc/thread-self/ns/pid", Fcntl.O_RDONLY), $"open the pid namespace");
        Check.Result(ProcessCalls.SetNamespace(options.PidNamespace.Value, CloneFlags.CLONE_NEWPID), $"join the pid namespace");
        try
        {
            return Clone(context, pidfd);
        }
        finally
        {
            Check.Result(ProcessCalls.SetNamespace(own.Value, CloneFlags.CLONE_NEWPID), $"leave the pid namespace");
        }
    }

    private static (int Pid, SafeFd Pidfd) Clone(ChildInterpreter.Context* context, int* pidfd)
    {
        ulong all = ulong.MaxValue, before = 0;
        // SAFETY: signal sets of the kernel have 64 bits. Blocked for this thread only, until the parent's side goes on.
        Kernel.Call(SYS_rt_sigprocmask, 2 /* SIG_SETMASK */, (nint)(&all), (nint)(&before), SignalSetSize);
        nint pid;
        try
        {
            pid = ChildInterpreter.CloneAndRun(context);
        }
        finally
        {
            Kernel.Call(SYS_rt_sigprocmask, 2, (nint)(&before), 0, SignalSetSize);
        }

        Check.Result(pid, $"create a process");
        return ((int)pid, new SafeFd(*pidfd));
    }
}

/// <summary>What came over a child's report channel.</summary>
public readonly struct ChildReport
{
    private ChildReport(byte message, int value, bool ended) => (Message, Value, Ended) = (message, value, ended);

    /// <summary>The child closed the channel: it executed its program, or was killed.</summary>
    public bool Ended { get; }

    public byte Message { get; }

    /// <summary>The number that came with the message.</summary>
    public int Value { get; }

    /// <summary>A channel for reports, the child's end with a number of at least <paramref name="minimum"/>.</summary>
    public static (SafeFd Parent, SafeFd Child) CreateChannel(int minimum)
    {
        var (parent, child) = SocketCalls.CreatePair(Sockets.SOCK_SEQPACKET);
        if (child.Value >= minimum) return (parent, child);
        using (child) return (parent, child.DuplicateAbove(minimum));
    }

    /// <summary>
    /// Reads the next report of a seqpacket channel; descriptors that come with it are added to the list. Throws what an
    /// operation of the program failed with.
    /// </summary>
    public static ChildReport Receive(SafeFd channel, ChildProgram program, List<SafeFd> descriptors)
    {
        Span<byte> buffer = stackalloc byte[sizeof(uint) * 4];
        var count = SocketCalls.Receive(channel.Value, buffer, descriptors);
        if (count == -(nint)Errno.ECONNRESET) count = 0;
        Check.Result(count, $"wait for the container's process");
        if (TryReadFailure(buffer[..(int)count], out var operation, out var errno)) throw program.Describe(operation, errno);
        return count switch
        {
            0 => new ChildReport(0, 0, ended: true),
            8 => new ChildReport(buffer[0], System.Buffers.Binary.BinaryPrimitives.ReadInt32LittleEndian(buffer[4..]), ended: false),
            _ => new ChildReport(buffer[0], 0, ended: false),
        };
    }

    /// <summary>Whether a message is the report of a failure.</summary>
    public static bool TryReadFailure(ReadOnlySpan<byte> message, out int operation, out Errno errno)
    {
        (operation, errno) = (0, Errno.None);
        if (message.Length != 12 || System.Runtime.InteropServices.MemoryMarshal.Read<ChildFailure>(message) is not { Magic: ChildFailure.Mark } failure)
            return false;
        (operation, errno) = (failure.Operation, (Errno)failure.Errno);
        return true;
    }
}
