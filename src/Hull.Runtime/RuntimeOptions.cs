using Hull.Linux;
using Hull.Linux.Cgroups;
using Hull.Oci.Runtime;

namespace Hull.Runtime;

/// <summary>What all containers of one runtime share.</summary>
public sealed record RuntimeOptions
{
    /// <summary>Where state is kept, one directory per container; made with mode 0700 when missing.</summary>
    public required string Root { get; init; }

    public CgroupDriver CgroupDriver { get; init; } = CgroupDriver.Cgroupfs;

    /// <summary>Cgroups are used as far as the caller may; null finds out from the effective user.</summary>
    public bool? Rootless { get; init; }

    public TimeProvider Clock { get; init; } = TimeProvider.System;

    /// <summary>Where resctrl is mounted; null looks for it.</summary>
    public string? ResctrlRoot { get; init; }

    /// <summary>Told what is done, step by step; null is for nobody who wants to know.</summary>
    public Action<string>? Debug { get; init; }

    /// <summary>Told what is probably not as the caller meant it, but no error.</summary>
    public Action<string>? Warn { get; init; }
}

/// <summary>The three standard streams of a process; each is duplicated, the caller keeps its own.</summary>
public sealed record StandardStreams(SafeFd Stdin, SafeFd Stdout, SafeFd Stderr)
{
    /// <summary>Those of the calling process.</summary>
    public static StandardStreams Inherited { get; } = new(SafeFd.Borrow(0), SafeFd.Borrow(1), SafeFd.Borrow(2));
}

/// <summary>How a process of a container is connected to its surroundings.</summary>
public record ProcessOptions
{
    /// <summary>Used where the process has no terminal.</summary>
    public StandardStreams Streams { get; init; } = StandardStreams.Inherited;

    /// <summary>
    /// A unix socket that is sent the master of the terminal (SCM_RIGHTS). Where the process has a terminal and this is null,
    /// the caller finds the master in <see cref="ContainerProcess.Terminal"/>.
    /// </summary>
    public string? ConsoleSocket { get; init; }

    /// <summary>Whether the caller takes the master from <see cref="ContainerProcess.Terminal"/>.</summary>
    public bool AcceptsTerminal { get; init; }

    /// <summary>Further descriptors of the process: 3, 4, …, and LISTEN_FDS where the caller has it.</summary>
    public IReadOnlyList<SafeFd> ExtraDescriptors { get; init; } = [];

    /// <summary>Variables added to the process's environment, <c>NAME=value</c>.</summary>
    public IReadOnlyList<string> ExtraEnvironment { get; init; } = [];

    /// <summary>A file that gets the process's pid in decimal.</summary>
    public string? PidFile { get; init; }

    /// <summary>Keeps the caller's session keyring.</summary>
    public bool NoNewKeyring { get; init; }
}

/// <summary>How a container is made.</summary>
public sealed record CreateOptions : ProcessOptions
{
    /// <summary>The bundle directory. config.json is read from it unless <see cref="Spec"/> is given.</summary>
    public required string Bundle { get; init; }

    public Spec? Spec { get; init; }

    /// <summary>
    /// What to keep as the container's configuration in place of <see cref="Spec"/> written out again: the JSON it was read
    /// from, which must say the same about hooks, namespaces and seccomp. Writing JSON is dear where code is emulated.
    /// </summary>
    public ReadOnlyMemory<byte> Document { get; init; }

    /// <summary>
    /// Leaves it to <see cref="ContainerRuntime.Start"/> of the same object to say what is executed: the spec's arguments and
    /// environment are ignored, its user and directory are not.
    /// </summary>
    public bool DefersProgram { get; init; }

    /// <summary>Moves the root with MS_MOVE and chroot where pivot_root(2) cannot work, as on an initramfs. Weaker.</summary>
    public bool NoPivot { get; init; }
}

/// <summary>What a container executes that was created without a program.</summary>
/// <param name="Arguments">The first is searched for in the PATH of the environment.</param>
/// <param name="Environment">All of it, HOME included.</param>
public sealed record ContainerProgram(IReadOnlyList<string> Arguments, IReadOnlyList<string> Environment);

/// <summary>How a further process is started in a container.</summary>
public sealed record ExecOptions : ProcessOptions
{
    /// <summary>Cgroups below the container's: one, or on v1 one for some controllers each, <c>cpu,cpuacct:path</c>.</summary>
    public IReadOnlyList<string> Subgroups { get; init; } = [];

    /// <summary>Allows it in a paused container, where it will not run before the container is resumed.</summary>
    public bool IgnorePaused { get; init; }
}

/// <summary>A process that was made for the caller and is its child: the caller must collect it with wait4(2).</summary>
public sealed class ContainerProcess(int pid, SafeFd pidfd, SafeFd? terminal) : IDisposable
{
    public int Pid { get; } = pid;

    public SafeFd Pidfd { get; } = pidfd;

    /// <summary>The master side of the terminal, where it has one that went to no console socket.</summary>
    public SafeFd? Terminal { get; } = terminal;

    public void Dispose()
    {
        Pidfd.Dispose();
        Terminal?.Dispose();
    }
}
