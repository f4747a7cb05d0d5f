namespace Hull.Linux.Seccomp;

/// <summary>What the kernel does with a system call (seccomp_unotify(2), libseccomp's SCMP_ACT_*).</summary>
public enum SeccompAction
{
    KillThread,
    KillProcess,
    Trap,
    Errno,
    Trace,
    Allow,
    Log,
    Notify,
}

/// <summary>How an argument is compared (libseccomp's SCMP_CMP_*).</summary>
public enum SeccompOperator
{
    NotEqual = 1,
    LessThan = 2,
    LessOrEqual = 3,
    Equal = 4,
    GreaterOrEqual = 5,
    GreaterThan = 6,

    /// <summary>(argument &amp; <see cref="SeccompArgument.Value"/>) == <see cref="SeccompArgument.ValueTwo"/>.</summary>
    MaskedEqual = 7,
}

/// <summary>A condition on one of the six arguments.</summary>
public readonly record struct SeccompArgument(uint Index, ulong Value, ulong ValueTwo, SeccompOperator Operator);

/// <summary>Calls with one verdict. The errno counts for Errno and Trace; null is EPERM.</summary>
public sealed record SeccompRule(
    IReadOnlyList<string> Names, SeccompAction Action, uint? Errno, IReadOnlyList<SeccompArgument> Arguments);

/// <summary>A filter as the runtime-spec describes it, free of JSON.</summary>
public sealed record SeccompPolicy
{
    public required SeccompAction DefaultAction { get; init; }

    public uint? DefaultErrno { get; init; }

    /// <summary>Names as in the spec ("SCMP_ARCH_X86_64"); none is the native one only.</summary>
    public IReadOnlyList<string> Architectures { get; init; } = [];

    /// <summary>Flags of seccomp(2) by name ("SECCOMP_FILTER_FLAG_LOG"); null leaves the choice to the compiler, an empty list is none.</summary>
    public IReadOnlyList<string>? Flags { get; init; }

    public IReadOnlyList<SeccompRule> Rules { get; init; } = [];
}

/// <summary>
/// A compiled filter, ready for seccomp(SECCOMP_SET_MODE_FILTER): an array of struct sock_filter and the call's flags
/// (with SECCOMP_FILTER_FLAG_NEW_LISTENER when a rule notifies, so the call returns the listener).
/// </summary>
public sealed record SeccompProgram(byte[] Instructions, uint Flags)
{
    /// <summary>Instructions of eight bytes each.</summary>
    public int Count => Instructions.Length / 8;

    /// <summary>SECCOMP_FILTER_FLAG_NEW_LISTENER.</summary>
    public bool HasListener => (Flags & 8) != 0;
}
