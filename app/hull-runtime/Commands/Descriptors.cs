using Hull.Core;
using Hull.Linux;
using Hull.Linux.Abi;
using Hull.Linux.Syscalls;
using Hull.RuntimeCli.CommandLine;

namespace Hull.RuntimeCli.Commands;

/// <summary>Descriptors the caller wants the container's process to have: socket activation's, then --preserve-fds.</summary>
internal static class Descriptors
{
    private const int First = 3;

    internal static IReadOnlyList<SafeFd> Preserved(FlagSet flags)
    {
        var count = ListenCount() + flags.GetInt32("preserve-fds", 0);
        var descriptors = new List<SafeFd>();
        for (var number = First; number < First + count; number++)
        {
            if (FileCalls.Fcntl(number, Fcntl.F_GETFD) < 0) throw HullException.Invalid($"--preserve-fds: descriptor {number} is not open");
            descriptors.Add(SafeFd.Borrow(number));
        }

        return descriptors;
    }

    /// <summary>What sd_listen_fds(3) reads; the pid is that of init in its own namespace.</summary>
    internal static IReadOnlyList<string> ListenEnvironment() => ListenCount() is > 0 and var count ? [$"LISTEN_FDS={count}", "LISTEN_PID=1"] : [];

    private static int ListenCount() => int.TryParse(Environment.GetEnvironmentVariable("LISTEN_FDS"), out var count) && count > 0 ? count : 0;
}
