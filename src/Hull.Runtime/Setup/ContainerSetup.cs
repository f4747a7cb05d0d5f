using Hull.Linux.Abi;
using Hull.Linux.Children;
using Hull.Linux.Files;
using Hull.Runtime.Specs;
using static Hull.Linux.Abi.Fcntl;

namespace Hull.Runtime.Setup;

/// <summary>Writes the program of a container's init, from its first system call to execve, in the order the kernel and the specification dictate.</summary>
internal static class ContainerSetup
{
    /// <summary>Message of the child: everything before the change of root is done, the hooks' turn. The answer is the same byte.</summary>
    internal const byte AwaitsHooks = (byte)'h';

    /// <summary>Message of the child: created, waiting for the start.</summary>
    internal const byte Ready = (byte)'r';

    internal static CloneOptions Write(SetupContext context)
    {
        context.Begin();
        var program = context.Program;
        program.SetSession();
        program.Umask(0);
        var clone = NamespaceSetup.Add(context);
        // Nobody who may be in the namespaces we joined may trace us or open our files (CVE-2016-9962). In a user namespace
        // and a pid namespace of our own nobody else is, and there a process that is not dumpable may not write to its own procfs files.
        if (!IsAlone(context)) program.Prctl("dumpable", Prctl.PR_SET_DUMPABLE, 0);
        if (!string.IsNullOrEmpty(context.Spec.Hostname)) program.SetHostname(context.Spec.Hostname);
        if (!string.IsNullOrEmpty(context.Spec.Domainname)) program.SetDomainname(context.Spec.Domainname);
        NamespaceSetup.AddProc(context);
        NamespaceSetup.AddTime(context);
        if (context.Linux.Creates("network")) program.BringLoopbackUp();
        AddFileTree(context);

        var slots = new SetupSlots(program, context.Socket, context.Proc, context.Terminal, context.TerminalPeer);
        if (context.Process.Terminal)
        {
            TerminalSetup.Open(slots, context.Root, context.Process);
            if (context.HasMountNamespace) TerminalSetup.AddConsole(context);
        }

        if (HasHooksBeforePivot(context))
        {
            program.Notify(context.Socket, AwaitsHooks);
            program.WaitFor(context.Socket, AwaitsHooks);
        }

        MakeWorkingDirectory(context);
        RootSetup.Seal(context);
        RootSetup.Enter(context);
        AddProcess(context, slots);
        return clone;
    }

    private static void AddFileTree(SetupContext context)
    {
        RootSetup.Attach(context);
        if (context.HasMountNamespace)
        {
            MountSetup.Add(context);
            DeviceSetup.Add(context);
        }

        // Before /proc/sys is bound read-only over itself: from then on a walk into it would cross a mount.
        foreach (var (key, value) in context.Linux.Sysctl ?? new Dictionary<string, string>())
            context.Program.WriteProc(context.Proc, "sys/" + SysctlName.ToPath(key), value, "set sysctl", key);
        if (context.HasMountNamespace) MaskSetup.Add(context);
    }

    private static void AddProcess(SetupContext context, SetupSlots slots)
    {
        var program = context.Program;
        var process = new ProcessSetup(slots, context.Process, context.Options, context.Seccomp, resource => context.Own(resource),
            context.HasUserNamespace ? context.Linux : null, context.Deferred);
        var limits = context.HasUserNamespace ? null : context.Process.Rlimits;
        process.AddAttributes(context.Linux.Personality, "_ses." + context.Id, limits, setOomScore: !context.HasUserNamespace);
        SecurityLabels.Add(program, context.Proc, context.Process);
        process.AddStreams();
        program.Prctl("dumpable", Prctl.PR_SET_DUMPABLE, 0);
        process.AddIdentity(context.Rootless);
        if (context.StartListener is { } listener)
        {
            program.Notify(context.Socket, Ready);
            program.Close(context.Socket);
            program.Call("wait for", "the start", SyscallNumber.SYS_accept4, program.Inherit(listener), 0, 0, O_CLOEXEC, result: program.Report);
            if (context.Deferred is { } deferred) program.Receive(deferred, program.Report);
        }

        process.AddExecution(ProcessSetup.EnvironmentOf(context.Process, user => HomeDirectory.Find(context.Rootfs, user), context.Options.ExtraEnvironment));
    }

    private static bool IsAlone(SetupContext context) => context.Linux.Creates("user") && context.Linux.Creates("pid");

    private static bool HasHooksBeforePivot(SetupContext context) =>
        context.Spec.Hooks is { } hooks && (hooks.Prestart is { Count: > 0 } || hooks.CreateRuntime is { Count: > 0 } || hooks.CreateContainer is { Count: > 0 });

    /// <summary>Images name working directories they do not have, and every runtime makes them.</summary>
    private static void MakeWorkingDirectory(SetupContext context)
    {
        var path = PathName.Clean(context.Process.Cwd!);
        if (path == "/") return;
        MountTargets.Ensure(context, path, directory: true);
        context.Program.Close(context.Target);
    }
}
