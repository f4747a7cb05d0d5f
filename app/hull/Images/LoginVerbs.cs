using Hull.Cli.Verbs;
using Hull.Core;
using Hull.Core.CommandLine;
using Hull.Images.Distribution;

namespace Hull.Cli.Images;

/// <summary><c>hull login</c>: keeps a login where docker keeps its own, after the registry has accepted it.</summary>
internal sealed class LoginVerb : ImageVerb
{
    private string? _user;
    private string? _password;
    private bool _fromInput;
    private bool _insecure;

    public override string Usage => "login [options] [REGISTRY]";

    public override void Define(FlagSet flags)
    {
        base.Define(flags);
        flags.Value("username", 'u', "name", "user", value => _user = value)
            .Value("password", 'p', "text", "password; seen by everybody on this machine: rather use --password-stdin", value => _password = value)
            .Switch("password-stdin", null, "read the password from standard input", value => _fromInput = value)
            .Switch("insecure", null, "accept plain HTTP and unknown certificates", value => _insecure = value);
    }

    protected override async Task<int> RunAsync(Invocation call, CancellationToken cancellation)
    {
        call.Expect(0, 1);
        var domain = DomainOf(call.Arguments.FirstOrDefault());
        if (_password is not null && _fromInput) throw HullException.Invalid("--password and --password-stdin exclude each other");
        var user = _user ?? Ask("Username: ", hidden: false);
        var password = _password ?? (_fromInput ? ReadInput() : Ask("Password: ", hidden: true));
        if (user.Length == 0 || password.Length == 0) throw HullException.Invalid("a login wants a user and a password");
        var credential = new RegistryCredential(user, password);
        var options = DistributionOptions.FromMachine() with { Credentials = new FixedCredential(domain, credential) };
        if (_insecure) options = options with { Registries = options.Registries.WithInsecure(domain) };
        using (var remote = new RemoteRepository(ImageReference.Parse(domain + "/login"), options))
            await remote.CheckLoginAsync(cancellation).ConfigureAwait(false);
        await DockerConfig.StoreAsync(DockerConfig.DefaultPath, domain, credential, cancellation).ConfigureAwait(false);
        call.Output.WriteLine("Login Succeeded");
        return 0;
    }

    /// <summary>The registry a user names, as image references write it.</summary>
    internal static string DomainOf(string? name)
    {
        if (string.IsNullOrEmpty(name)) return ImageReference.DefaultDomain;
        var domain = DockerConfig.HostOf(name);
        return ImageReference.TryParse(domain + "/login", out var reference) && reference.Domain == domain
            ? domain
            : throw HullException.Invalid($"'{name}' is not a registry: expected a host such as registry.example or localhost:5000");
    }

    private static string ReadInput() => (Console.In.ReadLine() ?? "").TrimEnd('\r', '\n');

    private static string Ask(string prompt, bool hidden)
    {
        if (Console.IsInputRedirected) throw HullException.Invalid("there is no terminal to ask on: give -u and --password-stdin");
        Terminal.Error.Write(prompt);
        if (!hidden) return (Console.ReadLine() ?? "").Trim();
        var text = new System.Text.StringBuilder();
        for (var key = Console.ReadKey(intercept: true); key.Key != ConsoleKey.Enter; key = Console.ReadKey(intercept: true))
        {
            if (key.Key == ConsoleKey.Backspace) text.Length = Math.Max(0, text.Length - 1);
            else if (key.KeyChar != '\0') text.Append(key.KeyChar);
        }

        Terminal.Error.WriteLine();
        return text.ToString();
    }
}

/// <summary><c>hull logout</c>.</summary>
internal sealed class LogoutVerb : ImageVerb
{
    public override string Usage => "logout [REGISTRY]";

    protected override async Task<int> RunAsync(Invocation call, CancellationToken cancellation)
    {
        call.Expect(0, 1);
        var domain = LoginVerb.DomainOf(call.Arguments.FirstOrDefault());
        var known = await DockerConfig.EraseAsync(DockerConfig.DefaultPath, domain, cancellation).ConfigureAwait(false);
        call.Output.WriteLine(known ? $"Removed the login for {domain}" : $"Not logged in to {domain}");
        return 0;
    }
}
