namespace Hull.Oci.Runtime.Parsing;

/// <summary>Reads what only Linux has (config-linux.md). Members this version does not know are left out, as the specification wants.</summary>
internal static class LinuxParser
{
    internal static LinuxSpec? Linux(ref DocumentReader json)
    {
        if (!json.Enter("linux")) return null;
        var result = new LinuxSpec();
        while (json.Next())
        {
            if (json.Is("uidMappings"u8)) result = result with { UidMappings = json.List("linux.uidMappings", SpecParser.Mapping) };
            else if (json.Is("gidMappings"u8)) result = result with { GidMappings = json.List("linux.gidMappings", SpecParser.Mapping) };
            else if (json.Is("sysctl"u8)) result = result with { Sysctl = json.TextMap("linux.sysctl") };
            else if (json.Is("resources"u8)) result = result with { Resources = ResourcesParser.Resources(ref json) };
            else if (json.Is("cgroupsPath"u8)) result = result with { CgroupsPath = json.Text("linux.cgroupsPath") };
            else if (json.Is("namespaces"u8)) result = result with { Namespaces = json.List("linux.namespaces", Namespace) };
            else if (json.Is("devices"u8)) result = result with { Devices = json.List("linux.devices", Device) };
            else if (json.Is("seccomp"u8)) result = result with { Seccomp = Seccomp(ref json) };
            else if (json.Is("rootfsPropagation"u8)) result = result with { RootfsPropagation = json.Text("linux.rootfsPropagation") };
            else if (json.Is("maskedPaths"u8)) result = result with { MaskedPaths = json.Texts("linux.maskedPaths") };
            else if (json.Is("readonlyPaths"u8)) result = result with { ReadonlyPaths = json.Texts("linux.readonlyPaths") };
            else if (json.Is("mountLabel"u8)) result = result with { MountLabel = json.Text("linux.mountLabel") };
            else if (json.Is("intelRdt"u8)) result = result with { IntelRdt = IntelRdt(ref json) };
            else if (json.Is("personality"u8)) result = result with { Personality = Personality(ref json) };
            else if (json.Is("timeOffsets"u8)) result = result with { TimeOffsets = json.Map("linux.timeOffsets", TimeOffset) };
            else json.Skip();
        }

        return result;
    }

    internal static NamespaceSpec? Namespace(ref DocumentReader json)
    {
        if (!json.Enter("linux.namespaces")) return null;
        var result = new NamespaceSpec();
        while (json.Next())
        {
            if (json.Is("type"u8)) result = result with { Type = json.Text("linux.namespaces.type") };
            else if (json.Is("path"u8)) result = result with { Path = json.Text("linux.namespaces.path") };
            else json.Skip();
        }

        return result;
    }

    internal static DeviceSpec? Device(ref DocumentReader json)
    {
        if (!json.Enter("linux.devices")) return null;
        var result = new DeviceSpec();
        while (json.Next())
        {
            if (json.Is("path"u8)) result = result with { Path = json.Text("linux.devices.path") };
            else if (json.Is("type"u8)) result = result with { Type = json.Text("linux.devices.type") };
            else if (json.Is("major"u8)) result = result with { Major = json.Signed("linux.devices.major") ?? 0 };
            else if (json.Is("minor"u8)) result = result with { Minor = json.Signed("linux.devices.minor") ?? 0 };
            else if (json.Is("fileMode"u8)) result = result with { FileMode = json.UInt32("linux.devices.fileMode") };
            else if (json.Is("uid"u8)) result = result with { Uid = json.UInt32("linux.devices.uid") };
            else if (json.Is("gid"u8)) result = result with { Gid = json.UInt32("linux.devices.gid") };
            else json.Skip();
        }

        return result;
    }

    internal static TimeOffsetSpec? TimeOffset(ref DocumentReader json)
    {
        if (!json.Enter("linux.timeOffsets")) return null;
        var result = new TimeOffsetSpec();
        while (json.Next())
        {
            if (json.Is("secs"u8)) result = result with { Secs = json.Signed("linux.timeOffsets.secs") ?? 0 };
            else if (json.Is("nanosecs"u8)) result = result with { Nanosecs = json.UInt32("linux.timeOffsets.nanosecs") ?? 0 };
            else json.Skip();
        }

        return result;
    }

    internal static PersonalitySpec? Personality(ref DocumentReader json)
    {
        if (!json.Enter("linux.personality")) return null;
        var result = new PersonalitySpec();
        while (json.Next())
        {
            if (json.Is("domain"u8)) result = result with { Domain = json.Text("linux.personality.domain") };
            else if (json.Is("flags"u8)) result = result with { Flags = json.Texts("linux.personality.flags") };
            else json.Skip();
        }

        return result;
    }

    internal static IntelRdtSpec? IntelRdt(ref DocumentReader json)
    {
        if (!json.Enter("linux.intelRdt")) return null;
        var result = new IntelRdtSpec();
        while (json.Next())
        {
            if (json.Is("closID"u8)) result = result with { ClosId = json.Text("linux.intelRdt.closID") };
            else if (json.Is("l3CacheSchema"u8)) result = result with { L3CacheSchema = json.Text("linux.intelRdt.l3CacheSchema") };
            else if (json.Is("memBwSchema"u8)) result = result with { MemBwSchema = json.Text("linux.intelRdt.memBwSchema") };
            else if (json.Is("enableCMT"u8)) result = result with { EnableCmt = json.Flag("linux.intelRdt.enableCMT") };
            else if (json.Is("enableMBM"u8)) result = result with { EnableMbm = json.Flag("linux.intelRdt.enableMBM") };
            else json.Skip();
        }

        return result;
    }

    internal static SeccompSpec? Seccomp(ref DocumentReader json)
    {
        if (!json.Enter("linux.seccomp")) return null;
        var result = new SeccompSpec();
        while (json.Next())
        {
            if (json.Is("defaultAction"u8)) result = result with { DefaultAction = json.Text("linux.seccomp.defaultAction") };
            else if (json.Is("defaultErrnoRet"u8)) result = result with { DefaultErrnoRet = json.UInt32("linux.seccomp.defaultErrnoRet") };
            else if (json.Is("architectures"u8)) result = result with { Architectures = json.Texts("linux.seccomp.architectures") };
            else if (json.Is("flags"u8)) result = result with { Flags = json.Texts("linux.seccomp.flags") };
            else if (json.Is("listenerPath"u8)) result = result with { ListenerPath = json.Text("linux.seccomp.listenerPath") };
            else if (json.Is("listenerMetadata"u8)) result = result with { ListenerMetadata = json.Text("linux.seccomp.listenerMetadata") };
            else if (json.Is("syscalls"u8)) result = result with { Syscalls = json.List("linux.seccomp.syscalls", Syscall) };
            else json.Skip();
        }

        return result;
    }

    internal static SyscallSpec? Syscall(ref DocumentReader json)
    {
        if (!json.Enter("linux.seccomp.syscalls")) return null;
        var result = new SyscallSpec();
        while (json.Next())
        {
            if (json.Is("names"u8)) result = result with { Names = json.Texts("linux.seccomp.syscalls.names") };
            else if (json.Is("action"u8)) result = result with { Action = json.Text("linux.seccomp.syscalls.action") };
            else if (json.Is("errnoRet"u8)) result = result with { ErrnoRet = json.UInt32("linux.seccomp.syscalls.errnoRet") };
            else if (json.Is("args"u8)) result = result with { Args = json.List("linux.seccomp.syscalls.args", SyscallArgument) };
            else json.Skip();
        }

        return result;
    }

    internal static SyscallArgumentSpec? SyscallArgument(ref DocumentReader json)
    {
        if (!json.Enter("linux.seccomp.syscalls.args")) return null;
        var result = new SyscallArgumentSpec();
        while (json.Next())
        {
            if (json.Is("index"u8)) result = result with { Index = json.UInt32("linux.seccomp.syscalls.args.index") ?? 0 };
            else if (json.Is("value"u8)) result = result with { Value = json.Unsigned("linux.seccomp.syscalls.args.value") ?? 0 };
            else if (json.Is("valueTwo"u8)) result = result with { ValueTwo = json.Unsigned("linux.seccomp.syscalls.args.valueTwo") ?? 0 };
            else if (json.Is("op"u8)) result = result with { Op = json.Text("linux.seccomp.syscalls.args.op") };
            else json.Skip();
        }

        return result;
    }
}
