using Hull.Core;
using Hull.Linux.Abi;
using Hull.Linux.Syscalls;

namespace Hull.Linux.Seccomp;

/// <summary>Compiles policies with libseccomp, which is loaded at the first use only.</summary>
public static class SeccompFilter
{
    private const uint FlagLog = 2; // SECCOMP_FILTER_FLAG_LOG
    private const uint FlagSpecAllow = 4; // SECCOMP_FILTER_FLAG_SPEC_ALLOW
    private const uint FlagNewListener = 8; // SECCOMP_FILTER_FLAG_NEW_LISTENER
    private const uint FlagWaitKillable = 32; // SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV
    private const int PermissionDenied = 1; // EPERM
    private const uint MostErrno = 4095; // MAX_ERRNO

    /// <summary>Flags this runtime passes on, by the spec's names. TSYNC is accepted and has no effect: the process has one thread.</summary>
    public static IReadOnlyList<string> KnownFlags { get; } =
    [
        "SECCOMP_FILTER_FLAG_TSYNC", "SECCOMP_FILTER_FLAG_LOG", "SECCOMP_FILTER_FLAG_SPEC_ALLOW",
        "SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV",
    ];

    /// <summary>
    /// The program of a policy, from the cache directory (made 0700 if missing) when the same policy was compiled before.
    /// </summary>
    /// <exception cref="HullException">InvalidArgument for a policy that contradicts itself, Unsupported without libseccomp.</exception>
    public static SeccompProgram Get(SeccompPolicy policy, string? cacheDirectory)
    {
        var flags = Flags(policy);
        if (cacheDirectory is null) return new SeccompProgram(Compile(policy), flags);
        var cache = new SeccompCache(cacheDirectory);
        var key = SeccompCache.KeyOf(policy);
        if (cache.Find(key) is { } found) return new SeccompProgram(found, flags);
        var instructions = Compile(policy);
        cache.Store(key, instructions);
        return new SeccompProgram(instructions, flags);
    }

    private static uint Flags(SeccompPolicy policy)
    {
        var notifies = policy.Rules.Any(rule => rule.Action == SeccompAction.Notify);
        // Without a word in the spec the speculative store bypass stays as it was outside: the mitigation that a filter
        // would bring slows every program down and protects none of them from another (as runc and crun do).
        var flags = policy.Flags is null ? FlagSpecAllow : 0;
        foreach (var flag in policy.Flags ?? [])
        {
            flags |= flag switch
            {
                "SECCOMP_FILTER_FLAG_TSYNC" => 0,
                "SECCOMP_FILTER_FLAG_LOG" => FlagLog,
                "SECCOMP_FILTER_FLAG_SPEC_ALLOW" => FlagSpecAllow,
                "SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV" => FlagWaitKillable,
                _ => throw HullException.Invalid($"seccomp flag {flag} is not known: use {string.Join(", ", KnownFlags)}"),
            };
        }

        if ((flags & FlagWaitKillable) != 0 && !notifies)
        {
            throw HullException.Invalid("seccomp flag SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV needs a rule with SCMP_ACT_NOTIFY");
        }

        return notifies ? flags | FlagNewListener : flags;
    }

    private static byte[] Compile(SeccompPolicy policy)
    {
        if (policy.DefaultAction == SeccompAction.Notify) throw HullException.Invalid("SCMP_ACT_NOTIFY cannot be used as default action");
        try
        {
            return CompileWithLibrary(policy);
        }
        catch (Exception error) when (error is DllNotFoundException or EntryPointNotFoundException)
        {
            throw LibSeccomp.Missing(error);
        }
    }

    private static byte[] CompileWithLibrary(SeccompPolicy policy)
    {
        var defaultAction = ActionCode(policy.DefaultAction, policy.DefaultErrno);
        var context = LibSeccomp.Init(defaultAction);
        if (context == 0) throw HullException.Invalid($"libseccomp refuses the default action {policy.DefaultAction}");
        try
        {
            var architectures = AddArchitectures(context, policy);
            // A binary tree instead of a chain of comparisons; a library too old for it makes the chain.
            _ = LibSeccomp.SetAttribute(context, LibSeccomp.AttributeOptimize, 2);
            foreach (var rule in policy.Rules) AddRule(context, rule, defaultAction);
            var program = Export(context);
            return UnknownCallGuard.AppliesTo(policy) ? [.. UnknownCallGuard.Build(policy, architectures), .. program] : program;
        }
        finally
        {
            LibSeccomp.Release(context);
        }
    }

    private static List<uint> AddArchitectures(nint context, SeccompPolicy policy)
    {
        var tokens = new List<uint> { LibSeccomp.NativeArchitecture() };
        foreach (var name in policy.Architectures)
        {
            const string Prefix = "SCMP_ARCH_";
            var token = name.StartsWith(Prefix, StringComparison.Ordinal)
                ? LibSeccomp.ResolveArchitecture(name[Prefix.Length..].ToLowerInvariant()) : 0;
            if (token == 0) throw HullException.Invalid($"seccomp architecture '{name}' is not known to libseccomp");
            if (tokens.Contains(token)) continue;
            tokens.Add(token);
            var result = LibSeccomp.AddArchitecture(context, token);
            if (result < 0) throw Refused($"architecture {name}", result);
        }

        return tokens;
    }

    private static void AddRule(nint context, SeccompRule rule, uint defaultAction)
    {
        if (rule.Names.Count == 0) throw HullException.Invalid("a seccomp rule names no system call");
        var action = ActionCode(rule.Action, rule.Errno);
        // Saying the default again is no rule to libseccomp.
        if (action == defaultAction) return;
        var comparisons = rule.Arguments.Select(Comparison).ToArray();
        foreach (var name in rule.Names)
        {
            // The runtime writes the listener's message itself, after the filter is on.
            if (rule.Action == SeccompAction.Notify && name == "write")
            {
                throw HullException.Invalid("SCMP_ACT_NOTIFY cannot be used for the write syscall");
            }

            // Profiles name calls of every machine and of kernels to come: what this library does not know is left out.
            var call = LibSeccomp.ResolveCall(name);
            if (call == LibSeccomp.UnknownCall) continue;
            AddRule(context, name, action, call, comparisons);
        }
    }

    private static void AddRule(nint context, string name, uint action, int call, LibSeccomp.Comparison[] comparisons)
    {
        // libseccomp takes one comparison per argument in a rule; several of the same argument become alternatives.
        var isRepeated = comparisons.Select(comparison => comparison.Argument).Distinct().Count() != comparisons.Length;
        if (!isRepeated)
        {
            var result = LibSeccomp.AddRule(context, action, call, comparisons);
            if (result < 0) throw Refused($"rule for {name}", result);
            return;
        }

        foreach (var comparison in comparisons)
        {
            var result = LibSeccomp.AddRule(context, action, call, [comparison]);
            if (result < 0) throw Refused($"rule for {name}", result);
        }
    }

    private static LibSeccomp.Comparison Comparison(SeccompArgument argument)
    {
        if (argument.Index > 5) throw HullException.Invalid($"seccomp argument index {argument.Index} is not 0 to 5");
        return new LibSeccomp.Comparison
        {
            Argument = argument.Index, Operator = (int)argument.Operator, A = argument.Value, B = argument.ValueTwo,
        };
    }

    private static uint ActionCode(SeccompAction action, uint? errno)
    {
        if (errno > MostErrno) throw HullException.Invalid($"seccomp errno {errno} is more than {MostErrno}");
        return action switch
        {
            SeccompAction.KillThread => 0,
            SeccompAction.KillProcess => 0x80000000,
            SeccompAction.Trap => 0x00030000,
            SeccompAction.Errno => 0x00050000 | (errno ?? PermissionDenied),
            SeccompAction.Trace => 0x7ff00000 | (errno ?? PermissionDenied),
            SeccompAction.Notify => 0x7fc00000,
            SeccompAction.Log => 0x7ffc0000,
            _ => 0x7fff0000,
        };
    }

    private static byte[] Export(nint context)
    {
        using var file = Check.Descriptor(FileCalls.MemfdCreate("seccomp"), $"make a file in memory");
        var result = LibSeccomp.Export(context, file.Value);
        if (result < 0) throw Refused("filter", result);
        var size = (int)FileCalls.Seek(file.Value, 0, 2);
        var program = new byte[size];
        for (var read = 0; read < size;)
        {
            read += (int)Check.Result(FileCalls.ReadAt(file.Value, program.AsSpan(read), read), $"read the compiled filter");
        }

        return program;
    }

    private static HullException Refused(string what, int result) =>
        HullException.Invalid($"libseccomp refuses the {what}: {ErrnoText.Describe((Errno)(-result))}");
}
