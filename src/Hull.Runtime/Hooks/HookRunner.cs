using Hull.Core;
using Hull.Linux;
using Hull.Linux.Abi;
using Hull.Linux.Children;
using Hull.Linux.Processes;
using Hull.Linux.Seccomp;
using Hull.Linux.Syscalls;
using Hull.Oci.Runtime;
using Hull.Runtime.Specs;
using Hull.Runtime.State;

namespace Hull.Runtime.Hooks;

/// <summary>Runs hooks one after the other with the container's state on their stdin (config.md, "POSIX-platform Hooks").</summary>
internal static class HookRunner
{
    /// <summary>Runs hooks in the runtime's namespaces. The first that fails is thrown.</summary>
    internal static void Run(string kind, IReadOnlyList<HookSpec>? hooks, Func<Hull.Oci.Runtime.State> state)
    {
        if (hooks is not { Count: > 0 }) return;
        var input = RuntimeDocuments.WriteState(state());
        for (var i = 0; i < hooks.Count; i++) Run(kind, i, hooks[i], input, null);
    }

    /// <summary>Runs hooks in the namespaces of a container's init.</summary>
    /// <param name="directory">Where they run: the root file system before the change of root, as with runc, "/" after it.</param>
    /// <param name="seccomp">The filter they run under, or null for none.</param>
    internal static void RunInContainer(
        string kind, IReadOnlyList<HookSpec>? hooks, Func<Hull.Oci.Runtime.State> state, SafeFd init, LinuxSpec linux, string directory = "/",
        SeccompProgram? seccomp = null)
    {
        if (hooks is not { Count: > 0 }) return;
        var current = state();
        var input = RuntimeDocuments.WriteState(current);
        for (var i = 0; i < hooks.Count; i++) Run(kind, i, hooks[i], input, new ContainerPlace(init, current.Pid!.Value, linux, directory, seccomp));
    }

    private static void Run(string kind, int index, HookSpec hook, byte[] input, ContainerPlace? container)
    {
        TimeSpan? timeout = hook.Timeout is { } seconds ? TimeSpan.FromSeconds(seconds) : null;
        var options = new ChildProcessOptions(hook.Path!, [.. (hook.Args ?? [hook.Path!]).Skip(1)])
        {
            Environment = ToDictionary(hook.Env),
            // Docker's hook is its own program by the path, told apart by argument 0.
            CalledAs = hook.Args is [var name, ..] ? name : null,
        };
        try
        {
            var result = container is { } target
                ? ChildProcess.Run(options, input, timeout, starter: child => StartInside(hook, child, target))
                : ChildProcess.Run(options, input, timeout);
            result.RequireSuccess();
        }
        catch (HullException error)
        {
            throw new HullException(error.Kind is ErrorKind.Timeout ? ErrorKind.Timeout : ErrorKind.Internal, $"error running hook #{index} of {kind}: {error.Message}", error);
        }
    }

    private static ChildProcess StartInside(HookSpec hook, ChildProcessOptions options, ContainerPlace place)
    {
        using var program = new ChildProgram();
        using var root = InitProcess.OpenRoot(place.Init, place.Pid);
        var (reports, channel) = SocketCalls.CreatePair(Sockets.SOCK_SEQPACKET);
        using (reports)
        {
            var socket = program.Inherit(channel);
            program.Set(program.Report, socket);
            ulong flags = 0;
            SafeFd? pidNamespace = null;
            foreach (var entry in place.Linux.Namespaces ?? [])
            {
                var kind = NamespaceTable.Get(entry.Type);
                if (kind.Type == "pid") pidNamespace = TryOpenPidNamespace(place);
                else flags |= kind.Flag;
            }

            program.SetNamespace(program.Inherit(place.Init), flags, "the container's namespaces");
            program.Fchdir(program.Inherit(root), "the container's root");
            program.Chroot(".");
            program.Chdir(place.Directory);
            program.Place(program.Inherit(options.Stdin!), 0);
            program.Place(program.Inherit(options.Stdout!), 1);
            program.Place(program.Inherit(options.Stderr!), 2);
            program.CloseOnExecFrom(3);
            program.ResetSignals();
            // The calls of a filter with a listener would wait for a supervisor who knows of one listener, that of init.
            if (place.Seccomp is { HasListener: false } filter) program.LoadSeccomp(filter.Instructions, filter.Flags);
            var path = program.NewSlot();
            program.Set(path, program.Text(hook.Path!));
            program.Execute(path, program.TextArray(hook.Args ?? [hook.Path!]), program.TextArray(hook.Env ?? []), hook.Path!);
            var (pid, pidfd) = ChildLauncher.Start(program, new CloneOptions { PidNamespace = pidNamespace });
            pidNamespace?.Dispose();
            channel.Dispose();
            var child = ChildProcess.Adopt(pid, pidfd, hook.Path!);
            try
            {
                ChildReport.Receive(reports, program, []);
                return child;
            }
            catch
            {
                child.Kill(9);
                child.Wait();
                child.Dispose();
                throw;
            }
        }
    }

    /// <summary>Who is not root may enter it only from inside the user namespace, where a hook would need another process to be born in it.</summary>
    private static SafeFd? TryOpenPidNamespace(ContainerPlace place) =>
        ProcessCalls.GetEffectiveUser() == 0 ? InitProcess.Open(place.Init, place.Pid, "ns/pid", Fcntl.O_RDONLY) : null;

    private static Dictionary<string, string> ToDictionary(IReadOnlyList<string>? environment)
    {
        var result = new Dictionary<string, string>();
        foreach (var variable in environment ?? [])
        {
            var equals = variable.IndexOf('=');
            if (equals > 0) result[variable[..equals]] = variable[(equals + 1)..];
        }

        return result;
    }

    /// <summary>Whose namespaces a hook runs in, in which of their directories, and under which filter.</summary>
    private sealed record ContainerPlace(SafeFd Init, int Pid, LinuxSpec Linux, string Directory, SeccompProgram? Seccomp);
}
