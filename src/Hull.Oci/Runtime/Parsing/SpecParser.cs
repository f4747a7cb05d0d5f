namespace Hull.Oci.Runtime.Parsing;

/// <summary>Reads config.json (config.md). Members this version does not know are left out, as the specification wants.</summary>
internal static class SpecParser
{
    internal static Spec? Document(ref DocumentReader json)
    {
        if (!json.Enter("the document")) return null;
        var result = new Spec();
        while (json.Next())
        {
            if (json.Is("ociVersion"u8)) result = result with { OciVersion = json.Text("ociVersion") };
            else if (json.Is("process"u8)) result = result with { Process = ProcessParser.Process(ref json) };
            else if (json.Is("root"u8)) result = result with { Root = Root(ref json) };
            else if (json.Is("hostname"u8)) result = result with { Hostname = json.Text("hostname") };
            else if (json.Is("domainname"u8)) result = result with { Domainname = json.Text("domainname") };
            else if (json.Is("mounts"u8)) result = result with { Mounts = json.List("mounts", Mount) };
            else if (json.Is("hooks"u8)) result = result with { Hooks = Hooks(ref json) };
            else if (json.Is("annotations"u8)) result = result with { Annotations = json.TextMap("annotations") };
            else if (json.Is("linux"u8)) result = result with { Linux = LinuxParser.Linux(ref json) };
            else json.Skip();
        }

        return result;
    }

    internal static RootSpec? Root(ref DocumentReader json)
    {
        if (!json.Enter("root")) return null;
        var result = new RootSpec();
        while (json.Next())
        {
            if (json.Is("path"u8)) result = result with { Path = json.Text("root.path") };
            else if (json.Is("readonly"u8)) result = result with { Readonly = json.Flag("root.readonly") };
            else json.Skip();
        }

        return result;
    }

    internal static MountSpec? Mount(ref DocumentReader json)
    {
        if (!json.Enter("mounts")) return null;
        var result = new MountSpec();
        while (json.Next())
        {
            if (json.Is("destination"u8)) result = result with { Destination = json.Text("mounts.destination") };
            else if (json.Is("type"u8)) result = result with { Type = json.Text("mounts.type") };
            else if (json.Is("source"u8)) result = result with { Source = json.Text("mounts.source") };
            else if (json.Is("options"u8)) result = result with { Options = json.Texts("mounts.options") };
            else if (json.Is("uidMappings"u8)) result = result with { UidMappings = json.List("mounts.uidMappings", Mapping) };
            else if (json.Is("gidMappings"u8)) result = result with { GidMappings = json.List("mounts.gidMappings", Mapping) };
            else json.Skip();
        }

        return result;
    }

    internal static HooksSpec? Hooks(ref DocumentReader json)
    {
        if (!json.Enter("hooks")) return null;
        var result = new HooksSpec();
        while (json.Next())
        {
            if (json.Is("prestart"u8)) result = result with { Prestart = json.List("hooks.prestart", Hook) };
            else if (json.Is("createRuntime"u8)) result = result with { CreateRuntime = json.List("hooks.createRuntime", Hook) };
            else if (json.Is("createContainer"u8)) result = result with { CreateContainer = json.List("hooks.createContainer", Hook) };
            else if (json.Is("startContainer"u8)) result = result with { StartContainer = json.List("hooks.startContainer", Hook) };
            else if (json.Is("poststart"u8)) result = result with { Poststart = json.List("hooks.poststart", Hook) };
            else if (json.Is("poststop"u8)) result = result with { Poststop = json.List("hooks.poststop", Hook) };
            else json.Skip();
        }

        return result;
    }

    internal static HookSpec? Hook(ref DocumentReader json)
    {
        if (!json.Enter("hooks")) return null;
        var result = new HookSpec();
        while (json.Next())
        {
            if (json.Is("path"u8)) result = result with { Path = json.Text("hooks.path") };
            else if (json.Is("args"u8)) result = result with { Args = json.Texts("hooks.args") };
            else if (json.Is("env"u8)) result = result with { Env = json.Texts("hooks.env") };
            else if (json.Is("timeout"u8)) result = result with { Timeout = json.Int32("hooks.timeout") };
            else json.Skip();
        }

        return result;
    }

    internal static IdMapping? Mapping(ref DocumentReader json)
    {
        if (!json.Enter("mappings")) return null;
        var result = new IdMapping();
        while (json.Next())
        {
            if (json.Is("containerID"u8)) result = result with { ContainerId = json.UInt32("mappings.containerID") ?? 0 };
            else if (json.Is("hostID"u8)) result = result with { HostId = json.UInt32("mappings.hostID") ?? 0 };
            else if (json.Is("size"u8)) result = result with { Size = json.UInt32("mappings.size") ?? 0 };
            else json.Skip();
        }

        return result;
    }
}
