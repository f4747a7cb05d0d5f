using Hull.Core.CommandLine;
using Hull.Cli.Verbs;

namespace Hull.Cli.Contexts;

/// <summary><c>hull context</c>: named engines.</summary>
internal static class ContextVerbs
{
    public static VerbEntry[] All() =>
    [
        new("create", "Name an engine", () => new SaveVerb(replace: false)),
        new("update", "Change a named engine", () => new SaveVerb(replace: true)),
        new("ls", "List contexts", () => new ListVerb(), "list"),
        new("rm", "Remove contexts", () => new RemoveVerb(), "remove"),
        new("use", "Choose the context that is used from now on", () => new UseVerb()),
        new("show", "Print the name of the current context", () => new ShowVerb()),
    ];

    private sealed class SaveVerb(bool replace) : Verb
    {
        private string? host;
        private string? description;
        private string? authority;
        private string? certificate;
        private string? key;
        private string? token;
        private bool insecure;

        public override string Usage => $"context {(replace ? "update" : "create")} [options] {(replace ? "CONTEXT" : "NAME")}";

        public override void Define(FlagSet flags) => flags
            .Value("host", 'H', "address", "unix:///path, tcp://host:port or ssh://user@host", v => host = v)
            .Value("description", null, "text", "what it is", v => description = v)
            .Value("tlscacert", null, "file", "certificates that the engine's must descend from", v => authority = Path.GetFullPath(v))
            .Value("tlscert", null, "file", "client certificate", v => certificate = Path.GetFullPath(v))
            .Value("tlskey", null, "file", "key of the client certificate", v => key = Path.GetFullPath(v))
            .Value("token", null, "text", "token for an engine with scoped access", v => token = v)
            .Switch("skip-tls-verify", null, "do not check the engine's certificate", v => insecure = v);

        public override int Run(Invocation call)
        {
            call.Expect(1, 1);
            var name = call.Arguments[0];
            var before = replace ? ContextStore.Load(name) : null;
            ContextStore.Save(name, new ContextDocument
            {
                Host = host ?? before?.Host ?? throw Core.HullException.Invalid("--host is missing"),
                Description = description ?? before?.Description,
                CaCertificate = authority ?? before?.CaCertificate,
                Certificate = certificate ?? before?.Certificate,
                Key = key ?? before?.Key,
                Token = token ?? before?.Token,
                SkipVerification = insecure || before?.SkipVerification == true,
            }, replace);
            call.Output.WriteLine(name);
            return 0;
        }
    }

    private sealed class ListVerb : Verb
    {
        public override string Usage => "context ls";

        public override int Run(Invocation call)
        {
            call.Expect(0, 0);
            var current = ContextStore.Current() ?? ContextStore.Default;
            var table = new Table("NAME", "DESCRIPTION", "ENGINE");
            foreach (var name in ContextStore.Names())
            {
                var document = name == ContextStore.Default ? null : ContextStore.Load(name);
                table.Add(name + (name == current ? " *" : ""), document?.Description ?? (document is null ? "this machine" : ""),
                    document?.Host ?? "unix://" + Client.EngineEndpoint.DefaultSocket);
            }

            table.Write(call.Output);
            return 0;
        }
    }

    private sealed class RemoveVerb : Verb
    {
        public override string Usage => "context rm CONTEXT...";

        public override int Run(Invocation call) => call.ForEach(ContextStore.Remove);
    }

    private sealed class UseVerb : Verb
    {
        public override string Usage => "context use CONTEXT";

        public override int Run(Invocation call)
        {
            call.Expect(1, 1);
            ContextStore.Use(call.Arguments[0]);
            call.Output.WriteLine(call.Arguments[0]);
            return 0;
        }
    }

    private sealed class ShowVerb : Verb
    {
        public override string Usage => "context show";

        public override int Run(Invocation call)
        {
            call.Output.WriteLine(ContextStore.Current() ?? ContextStore.Default);
            return 0;
        }
    }
}
