using System.Text.Json;
using Hull.Cli.Contexts;
using Hull.Cli.Verbs;
using Hull.Client;
using Hull.Core;
using Hull.Core.CommandLine;
using Hull.Protocol;
using Hull.Protocol.Machines;

namespace Hull.Cli.Completion;

/// <summary><c>hull completion</c>, and what its scripts call.</summary>
internal static class CompletionVerbs
{
    /// <param name="verbs">All verbs, these included.</param>
    public static VerbEntry[] All(Func<VerbEntry[]> verbs) =>
    [
        new("completion", "Print the completion script of a shell", () => new ScriptVerb()),
        new("__complete", "", () => new CandidatesVerb(verbs)) { Hidden = true },
    ];

    private sealed class ScriptVerb : Verb
    {
        public override string Usage => "completion bash|zsh|fish";

        public override int Run(Invocation call)
        {
            call.Expect(1, 1);
            call.Output.WriteLine(CompletionScripts.For(call.Arguments[0]));
            return 0;
        }
    }

    /// <summary>
    /// Prints a candidate a line, with what it is behind a tab. What cannot be asked has no candidates: a shell at its prompt
    /// is no place for errors.
    /// </summary>
    private sealed class CandidatesVerb(Func<VerbEntry[]> verbs) : Verb
    {
        public override string Usage => "__complete -- WORD...";

        public override void Define(FlagSet flags) => flags.Interspersed = false;

        public override int Run(Invocation call)
        {
            try
            {
                var global = new GlobalOptions();
                foreach (var (text, summary) in new Candidates(verbs(), global, kind => Names(global, kind)).Of(call.Arguments))
                    call.Output.WriteLine(summary.Length == 0 ? Table.Clean(text) : Table.Clean(text) + "\t" + Table.Clean(summary));
            }
            catch (Exception error) when (error is HullException or IOException)
            {
                return 1;
            }

            return 0;
        }

        /// <summary>What there is of a kind, as the engine that the command line chooses knows it.</summary>
        private static IEnumerable<(string Text, string Summary)> Names(GlobalOptions global, string kind)
        {
            if (kind == "context") return ContextStore.Names().Select(name => (name, ""));
            using var engine = new EngineClient(global.Endpoint(), LocalSocket.Dialer);
            return kind switch
            {
                "container" => [.. engine.Get("/containers/json?all=1", DockerJson.Wire.ListContainerSummary)
                    .Select(one => (one.Names.FirstOrDefault()?.TrimStart('/') ?? one.Id[..12], $"{one.Image}, {one.Status}"))],
                "image" => [.. engine.Get("/images/json", DockerJson.Wire.ListImageSummary)
                    .SelectMany(one => one.RepoTags).Where(tag => !tag.StartsWith('<')).Select(tag => (tag, ""))],
                "network" => [.. engine.Get("/networks", DockerJson.Wire.ListNetworkResource).Select(one => (one.Name, one.Driver))],
                "volume" => [.. engine.Get("/volumes", DockerJson.Wire.VolumeList).Volumes.Select(one => (one.Name, ""))],
                "machine" => Machines(engine),
                _ => [],
            };
        }

        private static IEnumerable<(string, string)> Machines(EngineClient engine)
        {
            using var answer = engine.Send("GET", "/hull/v1/machines", raw: true);
            return [.. JsonSerializer.Deserialize(answer.Content, MachineProtocolJson.Default.ListMachineResource)!.Select(one => (one.Name, one.Status))];
        }
    }
}
