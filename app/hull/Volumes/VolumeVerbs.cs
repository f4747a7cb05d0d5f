using System.Text.Json.Nodes;
using Hull.Cli.Containers;
using Hull.Cli.Networks;
using Hull.Cli.Verbs;
using Hull.Client.Formatting;
using Hull.Core.CommandLine;
using Hull.Protocol;

namespace Hull.Cli.Volumes;

/// <summary><c>hull volume</c>.</summary>
internal static class VolumeVerbs
{
    public static VerbEntry[] All() =>
    [
        new("create", "Make a volume", () => new CreateVolumeVerb()),
        new("ls", "List volumes", () => new ListVolumesVerb(), "list"),
        new("inspect", "Show everything about volumes", () => new InspectVerb("volume inspect [options] VOLUME...", ("volume", "/volumes/{}"))),
        new("rm", "Remove volumes", () => new RemoveVolumeVerb(), "remove"),
        .. VolumeContentVerbs.All(),
        new("prune", "Remove volumes that nothing uses", () => new PruneVerb("volume prune", "/volumes/prune", "VolumesDeleted")),
    ];

    private sealed class CreateVolumeVerb : Verb
    {
        private readonly VolumeCreateRequest request = new();

        public override string Usage => "volume create [options] [NAME]";

        public override void Define(FlagSet flags) => flags
            .Value("driver", 'd', "driver", "local", v => request.Driver = v)
            .Value("opt", 'o', "key=value", "option of the driver, such as size=1g", v => NetworkVerbs.Pair(request.DriverOpts ??= [], v))
            .Value("label", null, "key=value", "label", v => NetworkVerbs.Pair(request.Labels ??= [], v));

        public override int Run(Invocation call)
        {
            call.Expect(0, 1);
            request.Name = call.Arguments.FirstOrDefault();
            call.Output.WriteLine(call.Engine.Post("/volumes/create", request, DockerJson.Wire.VolumeCreateRequest, DockerJson.Wire.VolumeInfo).Name);
            return 0;
        }
    }

    private sealed class ListVolumesVerb : Verb
    {
        private readonly FilterFlags filters = new();
        private bool quiet;
        private string? format;

        public override string Usage => "volume ls [options]";

        public override void Define(FlagSet flags)
        {
            filters.Define(flags);
            flags.Switch("quiet", 'q', "names only", v => quiet = v).Value("format", null, "template", "json, table, or a Go template", v => format = v);
        }

        public override int Run(Invocation call)
        {
            var volumes = call.Engine.Get("/volumes?" + filters.Query().TrimStart('&'), DockerJson.Wire.VolumeList).Volumes;
            if (quiet)
            {
                foreach (var volume in volumes) call.Output.WriteLine(volume.Name);
                return 0;
            }

            call.Output.Write(OutputFormat.Parse(format).Rows(volumes.Select(v => new JsonObject
            {
                ["Name"] = v.Name,
                ["Driver"] = v.Driver,
                ["Mountpoint"] = v.Mountpoint,
                ["Scope"] = v.Scope,
                ["CreatedAt"] = v.CreatedAt,
                ["Labels"] = string.Join(',', (v.Labels ?? new Dictionary<string, string>()).Select(l => l.Key + "=" + l.Value)),
            }), [new("DRIVER", "{{.Driver}}"), new("VOLUME NAME", "{{.Name}}")]));
            return 0;
        }
    }

    private sealed class RemoveVolumeVerb : Verb
    {
        private bool force;

        public override string Usage => "volume rm [options] VOLUME...";

        public override void Define(FlagSet flags) => flags.Switch("force", 'f', "do not fail for one that is gone", v => force = v);

        public override int Run(Invocation call) => call.ForEach(volume => call.Engine.Call("DELETE", $"/volumes/{Uri.EscapeDataString(volume)}?force={(force ? 1 : 0)}"));
    }
}
