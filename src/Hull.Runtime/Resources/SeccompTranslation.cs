using Hull.Core;
using Hull.Linux.Seccomp;
using Hull.Oci.Runtime;

namespace Hull.Runtime.Resources;

/// <summary>From <c>linux.seccomp</c> of a spec to the policy a filter is compiled from (config-linux.md, "Seccomp").</summary>
public static class SeccompTranslation
{
    /// <summary>Actions by the spec's names; SCMP_ACT_KILL is the old name of killing the thread.</summary>
    public static IReadOnlyList<string> ActionNames { get; } =
    [
        "SCMP_ACT_ALLOW", "SCMP_ACT_ERRNO", "SCMP_ACT_KILL", "SCMP_ACT_KILL_PROCESS", "SCMP_ACT_KILL_THREAD", "SCMP_ACT_LOG",
        "SCMP_ACT_NOTIFY", "SCMP_ACT_TRACE", "SCMP_ACT_TRAP",
    ];

    /// <summary>Comparisons by the spec's names.</summary>
    public static IReadOnlyList<string> OperatorNames { get; } =
    [
        "SCMP_CMP_EQ", "SCMP_CMP_GE", "SCMP_CMP_GT", "SCMP_CMP_LE", "SCMP_CMP_LT", "SCMP_CMP_MASKED_EQ", "SCMP_CMP_NE",
    ];

    public static SeccompPolicy ToPolicy(SeccompSpec seccomp)
    {
        var rules = (seccomp.Syscalls ?? []).Select(Rule).ToArray();
        var notifies = rules.Any(rule => rule.Action == SeccompAction.Notify);
        if (notifies && string.IsNullOrEmpty(seccomp.ListenerPath))
        {
            throw HullException.Invalid("linux.seccomp.listenerPath is missing: SCMP_ACT_NOTIFY needs a listener");
        }

        if (!string.IsNullOrEmpty(seccomp.ListenerMetadata) && string.IsNullOrEmpty(seccomp.ListenerPath))
        {
            throw HullException.Invalid("linux.seccomp.listenerMetadata is set without a listenerPath");
        }

        var action = seccomp.DefaultAction ?? throw HullException.Invalid("linux.seccomp.defaultAction is missing");
        return new SeccompPolicy
        {
            DefaultAction = Action(action),
            DefaultErrno = Errno(Action(action), seccomp.DefaultErrnoRet),
            Architectures = seccomp.Architectures ?? [],
            Flags = seccomp.Flags,
            Rules = rules,
        };
    }

    private static SeccompRule Rule(SyscallSpec rule)
    {
        var action = Action(rule.Action ?? throw HullException.Invalid("linux.seccomp.syscalls.action is missing"));
        if (rule.Names is not { Count: > 0 }) throw HullException.Invalid("linux.seccomp.syscalls.names is empty");
        return new SeccompRule(rule.Names, action, Errno(action, rule.ErrnoRet), [.. (rule.Args ?? []).Select(Argument)]);
    }

    private static uint? Errno(SeccompAction action, uint? errno) =>
        errno is null || action is SeccompAction.Errno or SeccompAction.Trace
            ? errno
            : throw HullException.Invalid("linux.seccomp has an errnoRet for an action other than SCMP_ACT_ERRNO and SCMP_ACT_TRACE");

    private static SeccompArgument Argument(SyscallArgumentSpec argument) =>
        new(argument.Index, argument.Value, argument.ValueTwo, Operator(argument.Op));

    private static SeccompAction Action(string name) => name switch
    {
        "SCMP_ACT_KILL" or "SCMP_ACT_KILL_THREAD" => SeccompAction.KillThread,
        "SCMP_ACT_KILL_PROCESS" => SeccompAction.KillProcess,
        "SCMP_ACT_TRAP" => SeccompAction.Trap,
        "SCMP_ACT_ERRNO" => SeccompAction.Errno,
        "SCMP_ACT_TRACE" => SeccompAction.Trace,
        "SCMP_ACT_ALLOW" => SeccompAction.Allow,
        "SCMP_ACT_LOG" => SeccompAction.Log,
        "SCMP_ACT_NOTIFY" => SeccompAction.Notify,
        _ => throw HullException.Invalid($"seccomp action '{name}' is not known: use one of {string.Join(", ", ActionNames)}"),
    };

    private static SeccompOperator Operator(string? name) => name switch
    {
        "SCMP_CMP_NE" => SeccompOperator.NotEqual,
        "SCMP_CMP_LT" => SeccompOperator.LessThan,
        "SCMP_CMP_LE" => SeccompOperator.LessOrEqual,
        "SCMP_CMP_EQ" => SeccompOperator.Equal,
        "SCMP_CMP_GE" => SeccompOperator.GreaterOrEqual,
        "SCMP_CMP_GT" => SeccompOperator.GreaterThan,
        "SCMP_CMP_MASKED_EQ" => SeccompOperator.MaskedEqual,
        _ => throw HullException.Invalid($"seccomp operator '{name}' is not known: use one of {string.Join(", ", OperatorNames)}"),
    };
}
