using Hull.Core;
using Hull.Linux;
using Hull.Linux.Abi;
using Hull.Linux.Syscalls;
using Hull.Runtime;
using Hull.RuntimeCli.CommandLine;

namespace Hull.RuntimeCli.Commands;

/// <summary>checkpoint and restore.</summary>
internal static class CheckpointCommands
{
    private static readonly Flag[] s_flags =
    [
        new("image-path", FlagKind.Value, "directory of the images, ./checkpoint unless given"),
        new("work-path", FlagKind.Value, "directory of criu's log; that of the images unless given"),
        new("tcp-established", FlagKind.Switch, "allow open TCP connections"),
        new("ext-unix-sk", FlagKind.Switch, "allow unix sockets whose other end is outside"),
        new("shell-job", FlagKind.Switch, "allow a session whose leader is outside"),
        new("lazy-pages", FlagKind.Switch, "hand memory over after the rest"),
        new("file-locks", FlagKind.Switch, "allow file locks"),
        new("manage-cgroups-mode", FlagKind.Value, "soft, full, strict or ignore"),
        new("empty-ns", FlagKind.List, "continue a namespace empty: network"),
        new("auto-dedup", FlagKind.Switch, "drop from parent images what later ones replace"),
    ];

    internal static Command Checkpoint() => new("checkpoint", "[flags] <id>", "save a running container",
        [
            .. s_flags,
            new("parent-path", FlagKind.Value, "earlier images, relative to --image-path"),
            new("leave-running", FlagKind.Switch, "let the container run on"),
            new("pre-dump", FlagKind.Switch, "save memory only, and let the container run on"),
            new("page-server", FlagKind.Value, "where memory is sent: address:port"),
            new("status-fd", FlagKind.Value, "descriptor that gets a NUL when the page server is ready"),
        ],
        invocation =>
        {
            var flags = invocation.Flags;
            using var status = StatusDescriptor(flags);
            invocation.Runtime.Checkpoint(flags.RequireId("checkpoint"), new CheckpointOptions
            {
                ImagePath = ImagePath(flags), WorkPath = PathOf(flags, "work-path"), Program = ProgramOf(invocation),
                TcpEstablished = flags.Has("tcp-established"), ExternalUnixSockets = flags.Has("ext-unix-sk"), ShellJob = flags.Has("shell-job"),
                FileLocks = flags.Has("file-locks"), AutoDedup = flags.Has("auto-dedup"), LazyPages = flags.Has("lazy-pages"),
                CgroupsMode = ModeOf(flags), EmptyNamespaces = EmptyNamespaces(flags),
                ParentPath = flags.Get("parent-path") is { Length: > 0 } parent ? parent : null,
                LeaveRunning = flags.Has("leave-running"), PreDump = flags.Has("pre-dump"), PageServer = PageServer(flags), StatusDescriptor = status,
            });
            return 0;
        });

    internal static Command Restore() => new("restore", "[flags] <id>", "continue a saved container",
        [
            .. s_flags,
            .. LifecycleCommands.BundleFlags,
            new("detach", FlagKind.Switch, "return when the container runs again", 'd'),
            new("no-subreaper", FlagKind.Switch, "do not collect orphans of the container"),
            new("lsm-profile", FlagKind.Value, "label in place of the saved one: TYPE:NAME"),
            new("lsm-mount-context", FlagKind.Value, "SELinux context of mounts in place of the saved one"),
        ],
        invocation =>
        {
            SelfProtection.Ensure(invocation.CommandLine);
            var flags = invocation.Flags;
            var id = flags.RequireId("restore");
            var detach = flags.Has("detach");
            if (!detach && !flags.Has("no-subreaper")) _ = ProcessCalls.Prctl(Prctl.PR_SET_CHILD_SUBREAPER, 1);
            var runtime = invocation.Runtime;
            using var init = runtime.Restore(id, new RestoreOptions
            {
                ImagePath = ImagePath(flags), WorkPath = PathOf(flags, "work-path"), Program = ProgramOf(invocation),
                TcpEstablished = flags.Has("tcp-established"), ExternalUnixSockets = flags.Has("ext-unix-sk"), ShellJob = flags.Has("shell-job"),
                FileLocks = flags.Has("file-locks"), AutoDedup = flags.Has("auto-dedup"), LazyPages = flags.Has("lazy-pages"),
                CgroupsMode = ModeOf(flags), EmptyNamespaces = EmptyNamespaces(flags),
                SecurityProfile = flags.Get("lsm-profile"), MountContext = flags.Get("lsm-mount-context"),
                Create = LifecycleCommands.CreateOptionsOf(invocation, acceptsTerminal: !detach),
            });
            if (detach) return 0;
            var status = Foreground.Wait(init);
            runtime.Delete(id, force: true);
            return status.ShellCode;
        });

    private static string ImagePath(FlagSet flags) => PathOf(flags, "image-path") ?? Path.GetFullPath("checkpoint");

    private static string? PathOf(FlagSet flags, string name) => flags.Get(name) is { Length: > 0 } path ? Path.GetFullPath(path) : null;

    private static string ProgramOf(Invocation invocation) => invocation.Global.Get("criu") is { Length: > 0 } program ? program : "criu";

    private static CgroupsMode ModeOf(FlagSet flags) => flags.Get("manage-cgroups-mode") switch
    {
        null or "" => CgroupsMode.Unset,
        "soft" => CgroupsMode.Soft,
        "full" => CgroupsMode.Full,
        "strict" => CgroupsMode.Strict,
        "ignore" => CgroupsMode.Ignore,
        var other => throw HullException.Invalid($"--manage-cgroups-mode: '{other}' is none of soft, full, strict and ignore"),
    };

    private static ulong EmptyNamespaces(FlagSet flags)
    {
        ulong all = 0;
        foreach (var name in flags.GetAll("empty-ns"))
        {
            all |= name == "network" ? CloneFlags.CLONE_NEWNET : throw HullException.Invalid($"--empty-ns: '{name}' cannot be continued empty, only network can");
        }

        return all;
    }

    private static (string Address, int Port)? PageServer(FlagSet flags)
    {
        if (flags.Get("page-server") is not { Length: > 0 } text) return null;
        var colon = text.LastIndexOf(':');
        if (colon < 0 || !ushort.TryParse(text.AsSpan(colon + 1), out var port)) throw HullException.Invalid($"--page-server: '{text}' is not address:port");
        return (text[..colon], port);
    }

    private static SafeFd? StatusDescriptor(FlagSet flags)
    {
        if (flags.Get("status-fd") is not { Length: > 0 }) return null;
        var number = flags.GetInt32("status-fd", 0);
        if (FileCalls.Fcntl(number, Fcntl.F_GETFD) < 0) throw HullException.Invalid($"--status-fd: descriptor {number} is not open");
        return SafeFd.Borrow(number);
    }
}
