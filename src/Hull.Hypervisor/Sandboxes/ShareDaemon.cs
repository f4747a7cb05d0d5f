using Hull.Linux;
using Hull.Linux.Abi;
using Hull.Linux.Processes;
using Hull.Linux.Syscalls;
using Hull.Oci.Runtime;
using Hull.Runtime;

namespace Hull.Hypervisor.Sandboxes;

/// <summary>A file or directory of the host that a guest sees.</summary>
/// <param name="Options">Of the mount: ro, rro, bind, rbind and propagation.</param>
public sealed record HostShare(string Source, IReadOnlyList<string> Options);

/// <summary>
/// Files of the host for one machine: virtiofsd in a container of its own, whose root holds the shared files and
/// nothing else of the host but its read-only libraries. What is shared read-only is mounted so there, outside the guest's
/// reach; directories and single files are alike.
/// </summary>
/// <remarks>
/// virtio-fs rather than 9p: Debian's kernel for clouds has no 9p. The daemon must be root to give files the owners that
/// the guest asks for, so it is not in the monitor's jail but in one of its own, with the capabilities of a file server only.
/// It reads and writes the guest's memory, which must therefore be shared with it: a machine with shares has a copy of its
/// template's memory, and can be neither saved nor duplicated, because QEMU cannot save the state of the daemon.
/// </remarks>
public sealed class ShareDaemon : IDisposable
{
    /// <summary>Name by which the guest mounts the shares: a directory with one entry for each, named by its number.</summary>
    public const string Tag = "shares";

    /// <summary>QEMU's own up to its version 7, then the project virtio-fs's, each with its options for what is shared as what.</summary>
    private static readonly string[][] s_programs =
    [
        ["/usr/libexec/virtiofsd", "--fd=3", "--shared-dir=/share", "--sandbox=chroot", "--cache=auto", "--xattr", "--log-level=warn", "--rlimit-nofile=0"],
        ["/usr/lib/qemu/virtiofsd", "--fd=3", "-o", "source=/share", "-o", "sandbox=chroot", "-o", "cache=auto", "-o", "xattr", "-o", "log_level=warn", "-f"],
    ];

    private readonly ChildProcess _process;

    private ShareDaemon(ChildProcess process, SafeFd socket) => (_process, Socket) = (process, socket);

    /// <summary>The connection for the monitor.</summary>
    public SafeFd Socket { get; }

    /// <param name="directory">A directory for the daemon's root and state; it goes with the instance.</param>
    public static ShareDaemon Start(string directory, string cgroupsPath, IReadOnlyList<HostShare> shares)
    {
        var command = s_programs.FirstOrDefault(words => File.Exists(words[0]))
            ?? throw HullException.Unsupported($"directories of the host need {s_programs[0][0]}, which is missing: install virtiofsd (before Debian 13, qemu-system-common)");
        foreach (var name in (string[])["usr", "proc", "dev", "tmp", "share"]) Directory.CreateDirectory(Path.Combine(directory, "root", name));
        foreach (var name in (string[])["lib", "lib64"])
        {
            var link = Path.Combine(directory, "root", name);
            if (!Path.Exists(link)) File.CreateSymbolicLink(link, "usr/" + name);
        }

        var path = Path.Combine(directory, "fs.sock");
        using var parent = Check.Descriptor(FileCalls.OpenAt(Fcntl.AT_FDCWD, directory, Fcntl.O_PATH | Fcntl.O_DIRECTORY), $"open {directory}");
        // Short, whatever the directory is called: unix(7) has room for 107 bytes.
        var address = $"/proc/self/fd/{parent.Value}/fs.sock";
        using var listener = SocketCalls.Create(Sockets.AF_UNIX, Sockets.SOCK_STREAM);
        Check.Result(SocketCalls.Bind(listener.Value, SocketCalls.UnixAddress(address)), $"bind {path}");
        Check.Result(SocketCalls.Listen(listener.Value, 1), $"listen on {path}");
        using var nothing = Check.Descriptor(FileCalls.OpenAt(Fcntl.AT_FDCWD, "/dev/null", Fcntl.O_RDWR), $"open /dev/null");
        using var log = Check.Descriptor(FileCalls.OpenAt(Fcntl.AT_FDCWD, Path.Combine(directory, "virtiofsd.log"),
            Fcntl.O_WRONLY | Fcntl.O_CREAT | Fcntl.O_APPEND, 0x180), $"open the log of virtiofsd");
        var runtime = new ContainerRuntime(new RuntimeOptions { Root = Path.Combine(directory, "state") });
        var process = runtime.Run("files", new CreateOptions
        {
            Bundle = directory,
            Spec = SpecFor(command, cgroupsPath, shares),
            Streams = new StandardStreams(nothing, log, log),
            ExtraDescriptors = [listener],
        });
        return new ShareDaemon(ChildProcess.Adopt(process.Pid, process.Pidfd, command[0]), SocketCalls.ConnectUnix(address));
    }

    public void Dispose()
    {
        Socket.Dispose();
        // It ends by itself when the monitor's connection is gone.
        if (_process.TryWait(0) is null) _process.Kill(9);
        _process.Wait();
        _process.Dispose();
    }

    private static Spec SpecFor(string[] command, string cgroupsPath, IReadOnlyList<HostShare> shares)
    {
        // What virtiofsd itself keeps of root's capabilities, and chroot(2) for its start.
        string[] capabilities =
        [
            "CAP_CHOWN", "CAP_DAC_OVERRIDE", "CAP_FOWNER", "CAP_FSETID", "CAP_SETGID", "CAP_SETUID", "CAP_MKNOD", "CAP_SETFCAP",
            "CAP_DAC_READ_SEARCH", "CAP_SYS_CHROOT", "CAP_SETPCAP",
        ];
        List<MountSpec> mounts =
        [
            new() { Destination = "/proc", Type = "proc", Source = "proc", Options = ["nosuid", "nodev", "noexec"] },
            new() { Destination = "/dev", Type = "tmpfs", Source = "tmpfs", Options = ["nosuid", "noexec", "mode=755", "size=64k"] },
            new() { Destination = "/usr", Type = "bind", Source = "/usr", Options = ["bind", "ro", "nosuid", "nodev"] },
            .. shares.Select((share, index) => new MountSpec { Destination = $"/share/{index}", Type = "bind", Source = share.Source, Options = share.Options }),
        ];
        return new Spec
        {
            OciVersion = "1.2.0",
            Root = new RootSpec { Path = "root", Readonly = true },
            Hostname = "files",
            Process = new ProcessSpec
            {
                Args = command,
                Cwd = "/",
                Env = ["PATH=/usr/bin"],
                User = new UserSpec(),
                NoNewPrivileges = true,
                Capabilities = new CapabilitiesSpec { Bounding = capabilities, Effective = capabilities, Permitted = capabilities },
            },
            Mounts = mounts,
            Linux = new LinuxSpec
            {
                CgroupsPath = cgroupsPath,
                Namespaces = [.. ((string[])["pid", "mount", "ipc", "uts", "network"]).Select(type => new NamespaceSpec { Type = type })],
                MaskedPaths = ["/proc/kcore", "/proc/keys", "/proc/timer_list", "/proc/acpi"],
                ReadonlyPaths = ["/proc/sys", "/proc/sysrq-trigger", "/proc/irq", "/proc/bus"],
            },
        };
    }
}
