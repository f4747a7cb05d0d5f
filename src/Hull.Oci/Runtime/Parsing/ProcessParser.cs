namespace Hull.Oci.Runtime.Parsing;

/// <summary>Reads the process of a config.json, and the one of an exec. Members this version does not know are left out, as the specification wants.</summary>
internal static class ProcessParser
{
    internal static ProcessSpec? Process(ref DocumentReader json)
    {
        if (!json.Enter("process")) return null;
        var result = new ProcessSpec();
        while (json.Next())
        {
            if (json.Is("terminal"u8)) result = result with { Terminal = json.Flag("process.terminal") };
            else if (json.Is("consoleSize"u8)) result = result with { ConsoleSize = ConsoleSize(ref json) };
            else if (json.Is("user"u8)) result = result with { User = User(ref json) };
            else if (json.Is("args"u8)) result = result with { Args = json.Texts("process.args") };
            else if (json.Is("env"u8)) result = result with { Env = json.Texts("process.env") };
            else if (json.Is("cwd"u8)) result = result with { Cwd = json.Text("process.cwd") };
            else if (json.Is("capabilities"u8)) result = result with { Capabilities = Capabilities(ref json) };
            else if (json.Is("rlimits"u8)) result = result with { Rlimits = json.List("process.rlimits", Rlimit) };
            else if (json.Is("noNewPrivileges"u8)) result = result with { NoNewPrivileges = json.Flag("process.noNewPrivileges") };
            else if (json.Is("apparmorProfile"u8)) result = result with { ApparmorProfile = json.Text("process.apparmorProfile") };
            else if (json.Is("oomScoreAdj"u8)) result = result with { OomScoreAdj = json.Int32("process.oomScoreAdj") };
            else if (json.Is("selinuxLabel"u8)) result = result with { SelinuxLabel = json.Text("process.selinuxLabel") };
            else if (json.Is("scheduler"u8)) result = result with { Scheduler = Scheduler(ref json) };
            else if (json.Is("ioPriority"u8)) result = result with { IoPriority = IoPriority(ref json) };
            else if (json.Is("execCPUAffinity"u8)) result = result with { ExecCpuAffinity = CpuAffinity(ref json) };
            else json.Skip();
        }

        return result;
    }

    internal static ConsoleSize? ConsoleSize(ref DocumentReader json)
    {
        if (!json.Enter("process.consoleSize")) return null;
        var result = new ConsoleSize();
        while (json.Next())
        {
            if (json.Is("height"u8)) result = result with { Height = json.UInt32("process.consoleSize.height") ?? 0 };
            else if (json.Is("width"u8)) result = result with { Width = json.UInt32("process.consoleSize.width") ?? 0 };
            else json.Skip();
        }

        return result;
    }

    internal static UserSpec? User(ref DocumentReader json)
    {
        if (!json.Enter("process.user")) return null;
        var result = new UserSpec();
        while (json.Next())
        {
            if (json.Is("uid"u8)) result = result with { Uid = json.UInt32("process.user.uid") ?? 0 };
            else if (json.Is("gid"u8)) result = result with { Gid = json.UInt32("process.user.gid") ?? 0 };
            else if (json.Is("umask"u8)) result = result with { Umask = json.UInt32("process.user.umask") };
            else if (json.Is("additionalGids"u8)) result = result with { AdditionalGids = json.Numbers("process.user.additionalGids") };
            else if (json.Is("username"u8)) result = result with { Username = json.Text("process.user.username") };
            else json.Skip();
        }

        return result;
    }

    internal static CapabilitiesSpec? Capabilities(ref DocumentReader json)
    {
        if (!json.Enter("process.capabilities")) return null;
        var result = new CapabilitiesSpec();
        while (json.Next())
        {
            if (json.Is("bounding"u8)) result = result with { Bounding = json.Texts("process.capabilities.bounding") };
            else if (json.Is("effective"u8)) result = result with { Effective = json.Texts("process.capabilities.effective") };
            else if (json.Is("inheritable"u8)) result = result with { Inheritable = json.Texts("process.capabilities.inheritable") };
            else if (json.Is("permitted"u8)) result = result with { Permitted = json.Texts("process.capabilities.permitted") };
            else if (json.Is("ambient"u8)) result = result with { Ambient = json.Texts("process.capabilities.ambient") };
            else json.Skip();
        }

        return result;
    }

    internal static RlimitSpec? Rlimit(ref DocumentReader json)
    {
        if (!json.Enter("process.rlimits")) return null;
        var result = new RlimitSpec();
        while (json.Next())
        {
            if (json.Is("type"u8)) result = result with { Type = json.Text("process.rlimits.type") };
            else if (json.Is("hard"u8)) result = result with { Hard = json.Unsigned("process.rlimits.hard") ?? 0 };
            else if (json.Is("soft"u8)) result = result with { Soft = json.Unsigned("process.rlimits.soft") ?? 0 };
            else json.Skip();
        }

        return result;
    }

    internal static SchedulerSpec? Scheduler(ref DocumentReader json)
    {
        if (!json.Enter("process.scheduler")) return null;
        var result = new SchedulerSpec();
        while (json.Next())
        {
            if (json.Is("policy"u8)) result = result with { Policy = json.Text("process.scheduler.policy") };
            else if (json.Is("nice"u8)) result = result with { Nice = json.Int32("process.scheduler.nice") };
            else if (json.Is("priority"u8)) result = result with { Priority = json.Int32("process.scheduler.priority") };
            else if (json.Is("flags"u8)) result = result with { Flags = json.Texts("process.scheduler.flags") };
            else if (json.Is("runtime"u8)) result = result with { Runtime = json.Unsigned("process.scheduler.runtime") };
            else if (json.Is("deadline"u8)) result = result with { Deadline = json.Unsigned("process.scheduler.deadline") };
            else if (json.Is("period"u8)) result = result with { Period = json.Unsigned("process.scheduler.period") };
            else json.Skip();
        }

        return result;
    }

    internal static IoPrioritySpec? IoPriority(ref DocumentReader json)
    {
        if (!json.Enter("process.ioPriority")) return null;
        var result = new IoPrioritySpec();
        while (json.Next())
        {
            if (json.Is("class"u8)) result = result with { Class = json.Text("process.ioPriority.class") };
            else if (json.Is("priority"u8)) result = result with { Priority = json.Int32("process.ioPriority.priority") };
            else json.Skip();
        }

        return result;
    }

    internal static CpuAffinitySpec? CpuAffinity(ref DocumentReader json)
    {
        if (!json.Enter("process.execCPUAffinity")) return null;
        var result = new CpuAffinitySpec();
        while (json.Next())
        {
            if (json.Is("initial"u8)) result = result with { Initial = json.Text("process.execCPUAffinity.initial") };
            else if (json.Is("final"u8)) result = result with { Final = json.Text("process.execCPUAffinity.final") };
            else json.Skip();
        }

        return result;
    }
}
