using System.Text.Json;
using System.Text.Json.Nodes;
using Hull.Cli.Containers;
using Hull.Cli.Verbs;
using Hull.Client;
using Hull.Client.Formatting;
using Hull.Core;
using Hull.Core.CommandLine;
using Hull.Protocol;

namespace Hull.Cli.Engine;

/// <summary>Verbs about the engine as a whole.</summary>
internal static class EngineInformationVerbs
{
    public static VerbEntry[] Common() =>
    [
        new("events", "Show what happens, as it happens", () => new EventsVerb()),
        new("info", "Show what the engine is and has", () => new InfoVerb()),
        new("version", "Show the versions of client and engine", () => new VersionVerb()),
        new("doctor", "Say what this machine lacks and what belongs to nobody", () => new DoctorVerb()),
        new("dial-stdio", "Relay standard input and output to the engine", () => new DialVerb()) { Hidden = true },
    ];

    public static VerbEntry[] Group() =>
    [
        new("df", "Show what takes how much space", () => new DiskUsageVerb()),
        .. Common().Where(v => v.Name is "events" or "info" or "dial-stdio"),
        new("prune", "Remove containers, networks and images that nothing uses", () => new PruneAllVerb()),
    ];

    private sealed class VersionVerb : Verb
    {
        private string? format;

        public override string Usage => "version [options]";

        public override void Define(FlagSet flags) => flags.Value("format", 'f', "template", "json, or a Go template", v => format = v);

        public override int Run(Invocation call)
        {
            var own = typeof(VersionVerb).Assembly.GetName().Version?.ToString(3);
            var client = new JsonObject { ["Version"] = own, ["ApiVersion"] = EngineClient.ApiVersion, ["Platform"] = Platform.Host.ToString() };
            JsonNode? server = null;
            HullException? failure = null;
            try
            {
                using var answer = call.Engine.Send("GET", "/version", raw: true);
                server = JsonNode.Parse(answer.Content);
            }
            catch (HullException e)
            {
                failure = e;
            }

            if (format is not null) call.Output.Write(OutputFormat.Parse(format).One(new JsonObject { ["Client"] = client, ["Server"] = server }));
            else
            {
                call.Output.WriteLine($"client   hull {own}, API {EngineClient.ApiVersion}, {Platform.Host}");
                if (server is not null) call.Output.WriteLine($"engine   {server["Version"]}, API {server["ApiVersion"]} (from {server["MinAPIVersion"]} on), {server["Os"]}/{server["Arch"]}, kernel {server["KernelVersion"]}");
            }

            return failure is null ? 0 : throw failure;
        }
    }

    private sealed class InfoVerb : Verb
    {
        private string? format;

        public override string Usage => "info [options]";

        public override void Define(FlagSet flags) => flags.Value("format", 'f', "template", "json, or a Go template", v => format = v);

        public override int Run(Invocation call)
        {
            using var answer = call.Engine.Send("GET", "/info");
            var node = JsonNode.Parse(answer.Content)!;
            if (format is not null)
            {
                call.Output.Write(OutputFormat.Parse(format).One(node));
                return 0;
            }

            var info = node.Deserialize(DockerJson.Wire.InfoAnswer)!;
            call.Output.WriteLine($"engine        {info.ServerVersion} at {call.Endpoint}, data in {info.DockerRootDir}");
            call.Output.WriteLine($"machine       {info.Name}: {info.OperatingSystem}, kernel {info.KernelVersion}, {info.Architecture}, {info.NCPU} processors, {ByteSize.Binary(info.MemTotal)} of memory");
            call.Output.WriteLine($"containers    {info.Containers}: {info.ContainersRunning} running, {info.ContainersPaused} paused, {info.ContainersStopped} stopped");
            call.Output.WriteLine($"images        {info.Images}");
            call.Output.WriteLine($"runtimes      {string.Join(", ", info.Runtimes.Keys)} (default {info.DefaultRuntime})");
            foreach (var (name, isolation) in info.Isolations ?? [])
                call.Output.WriteLine($"isolation     {name}{(isolation.Unsupported.Count > 0 ? ", without " + string.Join(", ", isolation.Unsupported.Keys) : "")}");
            call.Output.WriteLine($"cgroups       version {info.CgroupVersion}");
            call.Output.WriteLine($"logs          {info.LoggingDriver}");
            foreach (var warning in info.Warnings ?? []) call.Output.WriteLine(Terminal.Yellow("warning       ") + warning);
            return 0;
        }
    }

    private sealed class EventsVerb : Verb
    {
        private readonly FilterFlags filters = new();
        private string? since;
        private string? until;
        private string? format;

        public override string Usage => "events [options]";

        public override void Define(FlagSet flags)
        {
            filters.Define(flags);
            flags.Value("since", null, "time", "begin with what happened from then on", v => since = v)
                .Value("until", null, "time", "end then", v => until = v)
                .Value("format", null, "template", "json, or a Go template", v => format = v);
        }

        public override int Run(Invocation call)
        {
            call.Expect(0, 0);
            var query = "/events?" + (since is null ? "" : "since=" + Uri.EscapeDataString(since)) + (until is null ? "" : "&until=" + Uri.EscapeDataString(until)) + filters.Query();
            using var answer = call.Engine.Send("GET", query);
            using var reader = new StreamReader(answer.Content);
            var template = OutputFormat.Parse(format);
            while (reader.ReadLine() is { } line)
            {
                if (line.Length == 0) continue;
                var node = JsonNode.Parse(line)!;
                call.Output.Write(template.IsDefault ? Describe(node.Deserialize(DockerJson.Wire.EventMessage)!) : template.One(node));
                call.Output.Flush();
            }

            return 0;
        }

        private static string Describe(EventMessage item)
        {
            var attributes = string.Join(", ", item.Actor.Attributes.OrderBy(a => a.Key, StringComparer.Ordinal).Select(a => a.Key + "=" + a.Value));
            return $"{Timestamps.Format(Timestamps.FromUnixNanoseconds(item.TimeNano))} {item.Type} {item.Action} {item.Actor.ID}{(attributes.Length > 0 ? $" ({Table.Clean(attributes)})" : "")}\n";
        }
    }

    private sealed class DiskUsageVerb : Verb
    {
        public override string Usage => "system df";

        public override int Run(Invocation call)
        {
            var usage = call.Engine.Get("/system/df", DockerJson.Wire.DiskUsageAnswer);
            var (images, containers, volumes) = (usage.Images ?? [], usage.Containers ?? [], usage.Volumes ?? []);
            var table = new Table("TYPE", "TOTAL", "ACTIVE", "SIZE", "RECLAIMABLE");
            Add("Images", images.Count, images.Count(i => i.Containers > 0), usage.LayersSize, images.Where(i => i.Containers == 0).Sum(i => i.Size));
            Add("Containers", containers.Count, containers.Count(c => c.State == "running"), containers.Sum(c => c.SizeRw ?? 0), containers.Where(c => c.State != "running").Sum(c => c.SizeRw ?? 0));
            Add("Volumes", volumes.Count, volumes.Count(v => v.UsageData?.RefCount > 0), volumes.Sum(v => v.UsageData?.Size ?? 0), volumes.Where(v => v.UsageData?.RefCount == 0).Sum(v => v.UsageData?.Size ?? 0));
            table.Write(call.Output);
            return 0;

            void Add(string type, int total, int active, long size, long free) =>
                table.Add(type, $"{total}", $"{active}", ByteSize.Decimal(size), ByteSize.Decimal(free));
        }
    }

    private sealed class PruneAllVerb : Verb
    {
        private bool force;
        private bool all;
        private bool volumes;

        public override string Usage => "system prune [options]";

        public override void Define(FlagSet flags) => flags
            .Switch("force", 'f', "do not ask", v => force = v)
            .Switch("all", 'a', "also images that have a name", v => all = v)
            .Switch("volumes", null, "also volumes without a name", v => volumes = v);

        public override int Run(Invocation call)
        {
            if (!force) throw HullException.Invalid("hull system prune removes stopped containers, unused networks and images: say --force");
            PruneVerb.Prune(call, "/containers/prune", "ContainersDeleted");
            PruneVerb.Prune(call, "/networks/prune", "NetworksDeleted");
            if (volumes) PruneVerb.Prune(call, "/volumes/prune", "VolumesDeleted");
            var filter = new FilterFlags();
            filter.Set("dangling", all ? "false" : "true");
            PruneVerb.Prune(call, "/images/prune?" + filter.Query().TrimStart('&'), "ImagesDeleted");
            return 0;
        }
    }

    /// <summary>The far end of <c>ssh://</c>: this program on the engine's machine.</summary>
    private sealed class DialVerb : Verb
    {
        public override string Usage => "dial-stdio";

        public override int Run(Invocation call)
        {
            using var engine = call.Engine.OpenRaw(out var finishSending);
            var input = new Thread(() =>
            {
                try
                {
                    Console.OpenStandardInput().CopyTo(engine);
                }
                catch (IOException)
                {
                    // One of the two ends is gone, which the other direction notices too.
                }

                finishSending();
            }) { IsBackground = true };
            input.Start();
            using var output = Console.OpenStandardOutput();
            engine.CopyTo(output);
            return 0;
        }
    }
}
