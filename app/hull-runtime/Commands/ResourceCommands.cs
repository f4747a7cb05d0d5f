using System.Globalization;
using Hull.Core;
using Hull.Linux;
using Hull.Linux.Files;
using Hull.Linux.Resctrl;
using Hull.Linux.Syscalls;
using Hull.Oci.Runtime;
using Hull.Runtime.Resources;
using Hull.RuntimeCli.CommandLine;

namespace Hull.RuntimeCli.Commands;

/// <summary>pause, resume, ps, update and events.</summary>
internal static class ResourceCommands
{
    internal static Command Pause() => new("pause", "<id>", "stop all processes of a container", [], invocation =>
    {
        invocation.Runtime.Pause(invocation.Flags.RequireId("pause"));
        return 0;
    });

    internal static Command Resume() => new("resume", "<id>", "continue a paused container", [], invocation =>
    {
        invocation.Runtime.Resume(invocation.Flags.RequireId("resume"));
        return 0;
    });

    internal static Command Ps() => new("ps", "[flags] <id> [ps options]", "print the processes of a container",
        [new("format", FlagKind.Value, "table or json", 'f')],
        invocation =>
        {
            var processes = invocation.Runtime.GetCgroup(invocation.Flags.RequireId("ps")).Processes();
            Output.Write(invocation.Flags.Get("format", "table") switch
            {
                "json" => ProcessListing.Json(processes),
                "table" => ProcessListing.Table(processes, invocation.Flags.Arguments[1..]),
                var other => throw HullException.Invalid($"ps: unknown format '{other}': use table or json"),
            });
            return 0;
        }) { TakesProgram = true };

    internal static Command Update() => new("update", "[flags] <id>", "change the limits of a container",
        [
            new("resources", FlagKind.Value, "file with linux.resources as JSON, or - for the standard input", 'r'),
            .. ResourceArguments.Names.Select(name => new Flag(name, FlagKind.Value, "see linux.resources of the runtime-spec")),
            new("l3-cache-schema", FlagKind.Value, "its share of the last-level cache, such as L3:0=ff;1=f0"),
            new("mem-bw-schema", FlagKind.Value, "its share of memory bandwidth, such as MB:0=20;1=70"),
        ],
        invocation =>
        {
            var id = invocation.Flags.RequireId("update");
            invocation.Runtime.Update(id, Resources(invocation.Flags), new ResctrlLimits(invocation.Flags.Get("l3-cache-schema"), invocation.Flags.Get("mem-bw-schema")));
            return 0;
        });

    private static ResourcesSpec Resources(FlagSet flags)
    {
        if (flags.Get("resources") is { } file) return ResourceArguments.Parse(file == "-" ? ReadInput() : AtomicFile.Read(file));
        var options = new Dictionary<string, string>();
        foreach (var name in ResourceArguments.Names)
        {
            if (flags.Get(name) is { } value) options[name] = value;
        }

        return ResourceArguments.From(options);
    }

    private static byte[] ReadInput()
    {
        const int Most = 1 << 20;
        using var input = SafeFd.Borrow(0);
        var buffer = new byte[4096];
        var length = 0;
        nint count;
        while ((count = Check.Result(FileCalls.Read(input.Value, buffer.AsSpan(length)), $"read the resources from the standard input")) > 0)
        {
            length += (int)count;
            if (length > Most) throw HullException.Invalid("the resources on the standard input are larger than 1 MiB");
            if (length == buffer.Length) Array.Resize(ref buffer, buffer.Length * 2);
        }

        return buffer[..length];
    }

    internal static Command Events() => new("events", "[flags] <id>", "print statistics and out-of-memory events",
        [
            new("interval", FlagKind.Value, "time between two lines of statistics, such as 5s"),
            new("stats", FlagKind.Switch, "print statistics once and end"),
        ],
        invocation =>
        {
            var id = invocation.Flags.RequireId("events");
            if (invocation.Runtime.GetState(id).Status == ContainerStatus.Stopped) throw HullException.Conflict($"container with id {id} is not running");
            var cgroup = invocation.Runtime.GetCgroup(id);
            var resctrl = invocation.Runtime.GetResctrl(id);
            if (invocation.Flags.Has("stats")) Output.Write(EventStream.Once(id, cgroup, resctrl).Span);
            else EventStream.Follow(id, cgroup, Duration(invocation.Flags.Get("interval", "5s")), line => Output.Write(line.Span), resctrl);
            return 0;
        });

    /// <summary>A number with a unit: ms, s, m or h.</summary>
    private static TimeSpan Duration(string text)
    {
        var (digits, seconds) = text switch
        {
            _ when text.EndsWith("ms", StringComparison.Ordinal) => (text[..^2], 0.001),
            _ when text.EndsWith('s') => (text[..^1], 1),
            _ when text.EndsWith('m') => (text[..^1], 60),
            _ when text.EndsWith('h') => (text[..^1], 3600.0),
            _ => ("", 0),
        };
        return double.TryParse(digits, NumberStyles.AllowDecimalPoint, CultureInfo.InvariantCulture, out var number) && number * seconds < 1e6
            ? TimeSpan.FromSeconds(number * seconds)
            : throw HullException.Invalid($"--interval: '{text}' is no duration such as 500ms, 5s or 1m");
    }
}
