using Hull.Core;
using Hull.Linux.Syscalls;

namespace Hull.Linux.Processes;

/// <summary>What to start. Nothing is inherited that is not named here: no descriptor, no signal mask or disposition.</summary>
/// <param name="Program">A path, or a name that is looked up in this process's PATH. No shell is involved.</param>
/// <param name="Arguments">The arguments after the program's name.</param>
public sealed record ChildProcessOptions(string Program, params IReadOnlyList<string> Arguments)
{
    /// <summary>What the program sees as its own name, argument 0; null is <see cref="Program"/>.</summary>
    public string? CalledAs { get; init; }

    /// <summary>The whole environment; null hands on this process's own.</summary>
    public IReadOnlyDictionary<string, string>? Environment { get; init; }

    public string? WorkingDirectory { get; init; }

    /// <summary>Descriptor 0 of the child; null is /dev/null.</summary>
    public SafeFd? Stdin { get; init; }

    /// <summary>Descriptor 1 of the child; null is /dev/null.</summary>
    public SafeFd? Stdout { get; init; }

    /// <summary>Descriptor 2 of the child; null is /dev/null.</summary>
    public SafeFd? Stderr { get; init; }

    /// <summary>Descriptors 3, 4, … of the child.</summary>
    public IReadOnlyList<SafeFd> ExtraDescriptors { get; init; } = [];

    /// <summary>Makes the child the leader of a session of its own, so that a terminal's signals do not reach it.</summary>
    public bool NewSession { get; init; }

    /// <summary>
    /// The same program with a mount namespace of its own, by unshare(1): what it mounts is gone with it, however it ends. Only
    /// root may; others get the options as they are. Throws <see cref="ErrorKind.CommandNotFound"/> for a missing program.
    /// </summary>
    public ChildProcessOptions WithOwnMounts()
    {
        if (ProcessCalls.GetEffectiveUser() != 0) return this;
        var path = ProgramPath.Find(Program) ?? throw new HullException(ErrorKind.CommandNotFound, $"{Program} is not installed");
        return this with { Program = "unshare", Arguments = ["--mount", "--propagation", "slave", "--", path, .. Arguments] };
    }
}

/// <summary>How a process ended: by itself with a code, or by a signal.</summary>
public readonly record struct ExitStatus(int Code, int Signal)
{
    /// <summary>From the status word of wait4(2).</summary>
    public static ExitStatus FromWaitStatus(int status) =>
        (status & 0x7f) == 0 ? new ExitStatus((status >> 8) & 0xff, 0) : new ExitStatus(0, status & 0x7f);

    public bool Succeeded => Code == 0 && Signal == 0;

    /// <summary>What a shell reports: the code, or 128 and the signal's number.</summary>
    public int ShellCode => Signal == 0 ? Code : 128 + Signal;

    public override string ToString() => Signal == 0 ? $"exit code {Code}" : $"signal {Signal}{Meaning}";

    /// <summary>What those signals mean that end a program by its own fault or somebody's will (signal(7)).</summary>
    private string Meaning => Signal switch
    {
        4 => " (illegal instruction)",
        6 => " (aborted)",
        7 => " (bus error)",
        8 => " (arithmetic error)",
        9 => " (killed)",
        11 => " (segmentation fault)",
        13 => " (broken pipe)",
        15 => " (terminated)",
        31 => " (bad system call)",
        _ => "",
    };
}

/// <summary>The captured end of a program.</summary>
public sealed record ProcessResult(string Program, ExitStatus Status, byte[] Output, byte[] Error)
{
    public string OutputText => System.Text.Encoding.UTF8.GetString(Output);

    public string ErrorText => System.Text.Encoding.UTF8.GetString(Error);

    /// <summary>Throws, with the last line of what the program said, unless it succeeded.</summary>
    public ProcessResult RequireSuccess()
    {
        if (Status.Succeeded) return this;
        var said = ErrorText.Trim();
        if (said.Length == 0) said = OutputText.Trim();
        var line = said[(said.LastIndexOf('\n') + 1)..];
        throw Hull.Core.HullException.Internal($"{Program} ended with {Status}{(line.Length == 0 ? "" : ": " + line)}");
    }
}
