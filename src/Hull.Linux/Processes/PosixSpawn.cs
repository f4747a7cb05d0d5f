using System.Runtime.InteropServices;
using Hull.Core;
using Hull.Linux.Abi;
using Hull.Linux.Syscalls;

namespace Hull.Linux.Processes;

/// <summary>
/// posix_spawn(3): the C library's vfork-like launch. It copies no page tables, so it costs the same in a small program
/// and in a large daemon, and nothing managed runs in the child.
/// </summary>
internal static unsafe partial class PosixSpawn
{
    // glibc's posix_spawnattr_t has 336 bytes and posix_spawn_file_actions_t 80; both are opaque.
    private const int OpaqueSize = 512;
    private const short SetSignalMask = 0x08, SetSignalDefaults = 0x04, SetSession = 0x80;
    private const int SignalSetSize = 128;
    private const int StandardStreams = 3;

    internal static int Start(ChildProcessOptions options)
    {
        var parked = new List<SafeFd>();
        using var text = new NativeStrings();
        var actions = stackalloc byte[OpaqueSize];
        var attributes = stackalloc byte[OpaqueSize];
        // SAFETY: both buffers exceed the opaque types; every string lives in text until after the spawn.
        Require(posix_spawn_file_actions_init(actions));
        Require(posix_spawnattr_init(attributes));
        try
        {
            Describe(options, actions, parked, text);
            SetAttributes(options, attributes);
            int pid;
            var program = text.Add(options.Program);
            var arguments = text.AddArray([options.CalledAs ?? options.Program, .. options.Arguments]);
            var environment = options.Environment is { } given
                ? text.AddArray([.. given.Select(pair => $"{pair.Key}={pair.Value}")])
                : text.AddArray(CurrentEnvironment());
            var error = (Errno)posix_spawnp(&pid, program, actions, attributes, arguments, environment);
            if (error != Errno.None) throw StartFailure(options, error);
            return pid;
        }
        finally
        {
            _ = posix_spawn_file_actions_destroy(actions);
            _ = posix_spawnattr_destroy(attributes);
            foreach (var descriptor in parked) descriptor.Dispose();
        }
    }

    private static void Describe(ChildProcessOptions options, byte* actions, List<SafeFd> parked, NativeStrings text)
    {
        // Descriptors are first moved above all targets, so that putting one in place cannot overwrite another.
        var parking = StandardStreams + options.ExtraDescriptors.Count;
        var target = 0;
        // SAFETY: as in Start; path strings live in text.
        foreach (var descriptor in (SafeFd?[])[options.Stdin, options.Stdout, options.Stderr, .. options.ExtraDescriptors])
        {
            if (descriptor is null)
            {
                Require(posix_spawn_file_actions_addopen(actions, target, text.Add("/dev/null"), Fcntl.O_RDWR, 0));
            }
            else
            {
                var copy = Check.Descriptor(FileCalls.Fcntl(descriptor.Value, Fcntl.F_DUPFD_CLOEXEC, parking), $"duplicate {descriptor}");
                parked.Add(copy);
                Require(posix_spawn_file_actions_adddup2(actions, copy.Value, target));
            }

            target++;
        }

        if (options.WorkingDirectory is { } directory)
            Require(posix_spawn_file_actions_addchdir_np(actions, text.Add(directory)));
        Require(posix_spawn_file_actions_addclosefrom_np(actions, target));
    }

    private static void SetAttributes(ChildProcessOptions options, byte* attributes)
    {
        var none = stackalloc byte[SignalSetSize];
        var all = stackalloc byte[SignalSetSize];
        new Span<byte>(none, SignalSetSize).Clear();
        new Span<byte>(all, SignalSetSize).Fill(0xff);
        // SAFETY: sigset_t has 128 bytes in glibc. The runtime ignores SIGPIPE; a child must not inherit that.
        Require(posix_spawnattr_setsigmask(attributes, none));
        Require(posix_spawnattr_setsigdefault(attributes, all));
        Require(posix_spawnattr_setflags(attributes, (short)(SetSignalMask | SetSignalDefaults | (options.NewSession ? SetSession : 0))));
    }

    private static string[] CurrentEnvironment()
    {
        var variables = Environment.GetEnvironmentVariables();
        var list = new List<string>(variables.Count);
        foreach (System.Collections.DictionaryEntry pair in variables) list.Add($"{pair.Key}={pair.Value}");
        return [.. list];
    }

    private static HullException StartFailure(ChildProcessOptions options, Errno error)
    {
        var kind = error switch
        {
            Errno.ENOENT => ErrorKind.CommandNotFound,
            Errno.EACCES or Errno.ENOEXEC => ErrorKind.CommandNotExecutable,
            // What fork(2) says at pids.max and RLIMIT_NPROC.
            Errno.EAGAIN => ErrorKind.ResourceExhausted,
            _ => ErrnoText.KindOf(error),
        };
        var advice = error == Errno.EAGAIN ? ": no more processes are allowed here, raise pids.max of the cgroup or ulimit -u" : "";
        return new HullException(kind, $"start {options.Program}: {ErrnoText.Describe(error)}{advice}", new ErrnoException(error));
    }

    private static void Require(int error)
    {
        if (error != 0) throw Check.Failure((Errno)error, "prepare a child process");
    }

    [LibraryImport("libc")]
    private static partial int posix_spawnp(int* pid, byte* file, byte* actions, byte* attributes, byte** arguments, byte** environment);

    [LibraryImport("libc")]
    private static partial int posix_spawn_file_actions_init(byte* actions);

    [LibraryImport("libc")]
    private static partial int posix_spawn_file_actions_destroy(byte* actions);

    [LibraryImport("libc")]
    private static partial int posix_spawn_file_actions_adddup2(byte* actions, int from, int to);

    [LibraryImport("libc")]
    private static partial int posix_spawn_file_actions_addopen(byte* actions, int descriptor, byte* path, int flags, uint mode);

    [LibraryImport("libc")]
    private static partial int posix_spawn_file_actions_addchdir_np(byte* actions, byte* path);

    [LibraryImport("libc")]
    private static partial int posix_spawn_file_actions_addclosefrom_np(byte* actions, int from);

    [LibraryImport("libc")]
    private static partial int posix_spawnattr_init(byte* attributes);

    [LibraryImport("libc")]
    private static partial int posix_spawnattr_destroy(byte* attributes);

    [LibraryImport("libc")]
    private static partial int posix_spawnattr_setflags(byte* attributes, short flags);

    [LibraryImport("libc")]
    private static partial int posix_spawnattr_setsigmask(byte* attributes, byte* mask);

    [LibraryImport("libc")]
    private static partial int posix_spawnattr_setsigdefault(byte* attributes, byte* signals);
}
