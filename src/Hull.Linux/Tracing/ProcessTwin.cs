using System.Buffers.Binary;
using System.Globalization;
using Hull.Core;
using Hull.Linux.Abi;
using Hull.Linux.Processes;
using Hull.Linux.Seccomp;
using Hull.Linux.Syscalls;
using static Hull.Linux.Abi.SyscallNumber;

namespace Hull.Linux.Tracing;

/// <summary>What is different of a twin.</summary>
public sealed record TwinOptions
{
    /// <summary>Open files that take the place of the original's, by its numbers.</summary>
    public required IReadOnlyDictionary<int, SafeFd> Descriptors { get; init; }

    /// <summary>Task lists of cgroups (v1) that it enters by itself, which holds nobody up.</summary>
    public IReadOnlyList<SafeFd> Joins { get; init; } = [];

    /// <summary>
    /// CLONE_NEW* flags. With CLONE_NEWUSER, which an original without privileges needs for the others and to be another user,
    /// all ids are the same inside and outside.
    /// </summary>
    public ulong Namespaces { get; init; }

    /// <summary>What is unmounted in its mount namespace.</summary>
    public IReadOnlyList<string> Unmounts { get; init; } = [];

    /// <summary>User and group; 0 keeps the original's.</summary>
    public uint UserId { get; init; }

    /// <summary>A seccomp filter for all its threads; null for none. It can gain no privileges with or without one.</summary>
    public SeccompProgram? Filter { get; init; }

    /// <summary>A text of its command line and what takes its place, of the same length.</summary>
    public (string Old, string New)? Name { get; init; }

    /// <summary>
    /// Waits, while the twin is made as far as it can be and stands still, and says the rest: what of these options is known only
    /// when it is to run. What it throws ends the twin. The original runs on meanwhile.
    /// </summary>
    public Func<TwinOptions>? Rest { get; init; }

    /// <summary>Called when the twin has its own memory, from when on the original runs and can change.</summary>
    public Action? Separated { get; init; }

    /// <summary>
    /// Twins are to be made of it as of the original: it keeps its privileges, and ends with the thread that is the parent of both,
    /// as after <see cref="ProcessTwin.Prepare"/>.
    /// </summary>
    public bool IsOriginal { get; init; }

    /// <summary>How long each single stop of the process is waited for.</summary>
    public TimeSpan MostWait { get; init; } = ProcessTwin.MostWait;

    /// <summary>Called with its process id before it runs.</summary>
    public Action<int>? Prepare { get; init; }
}

/// <summary>
/// Makes a running process twice: memory, threads and what they were doing, as fork(2) does it for one thread. For
/// programs that cannot be asked to. All memory is shared until it is written to.
/// </summary>
/// <remarks>
/// The original is stopped by ptrace(2) and one of its threads made to call clone(2); in the twin the other threads are made
/// again and given the registers, thread areas and signal masks of theirs. A call that a thread waited in is made again by
/// both. Event counters of eventfd(2) are made anew, for the two must not wake each other; sockets, pipes and files stay
/// common unless they are replaced; epoll, io_uring and timer descriptors are refused. Seccomp filters of the original are the
/// twin's too, and are not asked about what is done here. What the original has in its memory is not trusted: the kernel is
/// asked afterwards who the twin is. x86-64 with glibc.
/// </remarks>
public static class ProcessTwin
{
    /// <summary>glibc's <c>struct pthread</c> has the thread's id there, from the thread pointer; checked before use.</summary>
    private const int ThreadIdOffset = 0x2d0;

    private const int AdviseFork = 11; // MADV_DOFORK
    private const int DieWithParent = 1; // PR_SET_PDEATHSIG
    private const int KillSignal = 9;
    private const uint StatusMask = 0x800 | 0x400; // O_NONBLOCK | O_APPEND

    /// <summary>Unless it is said.</summary>
    internal static readonly TimeSpan MostWait = TimeSpan.FromSeconds(20);

    /// <summary>Looks for threads that are new since the last; two are the rule.</summary>
    private const int MostRounds = 100;

    /// <summary>
    /// Readies a process for twins: all its memory is to be inherited, which a program may have ruled out for some. It ends
    /// with the thread that is its parent; its twins do not.
    /// </summary>
    public static void Prepare(int process) => OwnThread.Run("twin", () =>
    {
        using var memory = ProcessMemory.Open(process);
        using var stopped = new StoppedProcess(process, memory, MostWait);
        foreach (var (start, end) in ProcessMemory.NotInherited(process))
            stopped.Main.Require("inherit memory", SYS_madvise, start, end - start, AdviseFork);
        stopped.Main.Require("end with its parent", SYS_prctl, DieWithParent, KillSignal);
        return true;
    });

    /// <summary>Makes a twin of a process of this user. Nothing of it is left where this fails, and the original runs on.</summary>
    public static ChildProcess Create(int process, TwinOptions options) => OwnThread.Run("twin", () =>
    {
        using var memory = ProcessMemory.Open(process);
        using var stopped = new StoppedProcess(process, memory, options.MostWait);
        var counters = EventCounters(process);
        var twin = stopped.Main.Clone(CloneFlags.CLONE_PARENT | options.Namespaces | CloneFlags.CLONE_CHILD_SETTID | CloneFlags.CLONE_CHILD_CLEARTID,
            0, stopped.Main.Saved.fs_base + ThreadIdOffset, 0);
        twin.DieWithTracer();
        twin.Become(stopped.Main);
        var pidfd = Check.Descriptor(ProcessCalls.PidfdOpen(twin.Id), $"open pidfd of {twin.Id}");
        // The original is not needed any more.
        stopped.Dispose();
        try
        {
            options.Separated?.Invoke();
            Finish(twin, pidfd, stopped, counters, options);
        }
        catch
        {
            ProcessCalls.PidfdSendSignal(pidfd.Value, KillSignal);
            pidfd.Dispose();
            throw;
        }

        return ChildProcess.AdoptStranger(twin.Id, pidfd, "twin of " + process.ToString(CultureInfo.InvariantCulture));
    });

    private static void Finish(TracedThread twin, SafeFd pidfd, StoppedProcess original,
        IReadOnlyList<(int Number, ulong Count, uint Flags)> counters, TwinOptions options)
    {
        using var memory = ProcessMemory.Open(twin.Id);
        if ((options.Namespaces & CloneFlags.CLONE_NEWUSER) != 0) MapIds(twin.Id);
        using var builder = new TwinBuilder(twin, memory, pidfd);
        builder.Unmount(options.Unmounts);
        if (!options.IsOriginal && (options.UserId != 0 || options.Rest is not null)) builder.DropCapabilities();
        builder.RenewCounters(counters);
        Settle(twin, builder, options);
        var rest = options.Rest?.Invoke();
        if (rest is not null) Settle(twin, builder, rest);
        var user = rest?.UserId ?? options.UserId;
        builder.Confine(user, options.Filter);
        if (options.IsOriginal) twin.Require("end with its parent", SYS_prctl, DieWithParent, KillSignal);
        if (user != 0) RequireConfined(twin.Id, user, original.IsFiltered || options.Filter is not null);
        var threads = builder.MakeThreads(original.Threads.Skip(1), ThreadIdOffset);
        foreach (var thread in threads) thread.Release();
        twin.Release();
    }

    private static void MapIds(int process)
    {
        foreach (var map in (string[])["uid_map", "gid_map"])
        {
            var path = $"/proc/{process}/{map}";
            using var file = Check.Descriptor(FileCalls.OpenAt(Fcntl.AT_FDCWD, path, Fcntl.O_WRONLY), $"open {path}");
            Check.Result(FileCalls.Write(file.Value, "0 0 4294967295\n"u8), $"write {path}");
        }
    }

    private static void RequireConfined(int process, uint user, bool filtered)
    {
        var status = File.ReadAllLines($"/proc/{process}/status");
        string[] wanted =
        [
            $"Uid:\t{user}\t{user}\t{user}\t{user}", $"Gid:\t{user}\t{user}\t{user}\t{user}", "NoNewPrivs:\t1", "CapPrm:\t0000000000000000",
            .. filtered ? (string[])["Seccomp:\t2"] : [],
        ];
        if (wanted.FirstOrDefault(line => !status.Contains(line)) is { } missing)
            throw new HullException(ErrorKind.PermissionDenied, $"process {process} was to be confined, but not so: {missing.Replace('\t', ' ')}");
    }

    private static void Settle(TracedThread twin, TwinBuilder builder, TwinOptions options)
    {
        if (options.Name is { } name) builder.Rename(name.Old, name.New);
        options.Prepare?.Invoke(twin.Id);
        // The program has set them as it uses them, and will not do so again.
        foreach (var (number, file) in options.Descriptors)
            Check.Result(FileCalls.Fcntl(file.Value, Fcntl.F_SETFL, (nint)(StatusFlags(twin.Id, number) & StatusMask)), $"set the flags of {file}");
        builder.EnterCgroups(options.Joins);
        builder.ExchangeDescriptors(options.Descriptors);
    }

    /// <summary>Flags of an open file (proc_pid_fdinfo(5)).</summary>
    private static uint StatusFlags(int process, int number)
    {
        foreach (var line in File.ReadLines($"/proc/{process}/fdinfo/{number}"))
        {
            if (line.StartsWith("flags:", StringComparison.Ordinal)) return Convert.ToUInt32(line[6..].Trim(), 8);
        }

        return 0;
    }

    /// <summary>The counters of eventfd(2) with their contents and flags.</summary>
    private static List<(int Number, ulong Count, uint Flags)> EventCounters(int process)
    {
        var found = new List<(int, ulong, uint)>();
        foreach (var path in Directory.EnumerateFiles($"/proc/{process}/fd"))
        {
            var target = new FileInfo(path).LinkTarget ?? "";
            if (target is "anon_inode:[eventpoll]" or "anon_inode:[io_uring]" or "anon_inode:[timerfd]")
                throw HullException.Unsupported($"process {process} has a {target}, which cannot be made twice");
            if (target != "anon_inode:[eventfd]") continue;
            var number = int.Parse(Path.GetFileName(path), CultureInfo.InvariantCulture);
            var (count, flags) = (0UL, 0u);
            foreach (var line in File.ReadLines($"/proc/{process}/fdinfo/{number}"))
            {
                if (line.StartsWith("eventfd-count:", StringComparison.Ordinal)) count = ulong.Parse(line.AsSpan(14).Trim(), NumberStyles.HexNumber, CultureInfo.InvariantCulture);
                else if (line.StartsWith("flags:", StringComparison.Ordinal)) flags = Convert.ToUInt32(line[6..].Trim(), 8);
            }

            found.Add((number, count, flags));
        }

        return found;
    }

    /// <summary>A process all of whose threads are stopped, until this is disposed of.</summary>
    private sealed class StoppedProcess : IDisposable
    {
        private bool _released;

        public StoppedProcess(int process, ProcessMemory memory, TimeSpan mostWait)
        {
            var instruction = CallInstruction(process, memory, mostWait);
            IsFiltered = !File.ReadLines($"/proc/{process}/status").Contains("Seccomp:\t0");
            try
            {
                // Until there is none that a thread has made meanwhile which was not stopped yet.
                var rounds = 0;
                for (var found = true; found; rounds++)
                {
                    if (rounds == MostRounds) throw new HullException(ErrorKind.Unavailable, $"process {process} makes threads faster than they can be stopped");
                    found = false;
                    foreach (var id in ThreadIds(process).Where(id => Threads.All(thread => thread.Id != id))) found |= TryStop(id, instruction, mostWait);
                }

                Span<byte> number = stackalloc byte[sizeof(int)];
                foreach (var thread in Threads)
                {
                    memory.Read(thread.Saved.fs_base + ThreadIdOffset, number);
                    // In a namespace of its own the process knows other numbers, but never none.
                    if (BinaryPrimitives.ReadInt32LittleEndian(number) is <= 0 or > 1 << 22)
                        throw HullException.Unsupported($"process {process} has a C library whose threads are not as glibc's");
                }
            }
            catch
            {
                Dispose();
                throw;
            }
        }

        public List<TracedThread> Threads { get; } = [];

        public TracedThread Main => Threads[0];

        /// <summary>Whether a seccomp filter is asked about its calls.</summary>
        public bool IsFiltered { get; }

        public void Dispose()
        {
            if (_released) return;
            _released = true;
            foreach (var thread in Threads) thread.Release();
        }

        private static string ReadCall(int process)
        {
            try
            {
                return File.ReadAllText($"/proc/{process}/syscall");
            }
            catch (IOException cause)
            {
                throw new HullException(ErrorKind.Unavailable, $"process {process} is gone", cause);
            }
        }

        private bool TryStop(int id, ulong instruction, TimeSpan mostWait)
        {
            try
            {
                Threads.Add(TracedThread.Stop(id, instruction, mostWait, IsFiltered));
                return true;
            }
            catch (HullException cause) when (cause.Errno == Errno.ESRCH)
            {
                return false; // It has just ended.
            }
        }

        /// <summary>The first is the process's own.</summary>
        private static IEnumerable<int> ThreadIds(int process) => Directory.EnumerateDirectories($"/proc/{process}/task")
            .Select(path => int.Parse(Path.GetFileName(path), CultureInfo.InvariantCulture)).OrderBy(id => id != process);

        /// <summary>A thread that waits in the kernel has called it just before where it will go on (proc_pid_syscall(5)).</summary>
        private static ulong CallInstruction(int process, ProcessMemory memory, TimeSpan mostWait)
        {
            string[] text = [];
            // One that is at work will wait again in a moment.
            for (var round = 0; text.Length < 9; round++)
            {
                if (round > mostWait.TotalMilliseconds) throw new HullException(ErrorKind.Unavailable, $"process {process} does not come to wait in a system call");
                if (round > 0) Thread.Sleep(1);
                text = ReadCall(process).Split(' ');
            }

            var address = ulong.Parse(text[8].AsSpan(2).Trim(), NumberStyles.HexNumber, CultureInfo.InvariantCulture) - 2;
            Span<byte> code = stackalloc byte[2];
            memory.Read(address, code);
            return code is [0x0f, 0x05] ? address : throw HullException.Unsupported($"process {process} makes system calls in an unknown way");
        }
    }
}
