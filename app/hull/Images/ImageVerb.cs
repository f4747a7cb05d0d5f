using System.Runtime.InteropServices;
using System.Text.Json.Nodes;
using Hull.Client.Formatting;
using Hull.Cli.Verbs;
using Hull.Core;
using Hull.Core.CommandLine;
using Hull.Images;
using Hull.Images.Distribution;

namespace Hull.Cli.Images;

/// <summary>A verb that works on the image store of this machine.</summary>
internal abstract class ImageVerb : Verb
{
    private string? _root;
    private string? _format;

    /// <summary>The state directory: <c>--root</c>, else HULL_ROOT, else <c>/var/lib/hull</c>.</summary>
    protected string StateDirectory => StateRoot.Resolve(_root);

    public override void Define(FlagSet flags) =>
        flags.Value("root", null, "directory", "directory of Hull's state (HULL_ROOT, else /var/lib/hull)", value => _root = value);

    public sealed override int Run(Invocation call)
    {
        using var stop = new CancellationTokenSource();
        void Stop(PosixSignalContext context)
        {
            // The second signal ends the program whatever it is doing.
            context.Cancel = !stop.IsCancellationRequested;
            stop.Cancel();
        }

        // What is half done is to be left in order: the store's writers clean up when they are cancelled.
        using var interrupt = PosixSignalRegistration.Create(PosixSignal.SIGINT, Stop);
        using var terminate = PosixSignalRegistration.Create(PosixSignal.SIGTERM, Stop);
        return RunAsync(call, stop.Token).GetAwaiter().GetResult();
    }

    protected abstract Task<int> RunAsync(Invocation call, CancellationToken cancellation);

    protected IImageService OpenStore() => ImageService.Open(StateDirectory, limits: RegistriesConfig.Load().Layers.ToLimits());

    /// <summary>The registries' settings of this machine, with plain HTTP for one of them where <paramref name="insecure"/> asks for it.</summary>
    protected static DistributionOptions Registries(ImageReference reference, bool insecure)
    {
        var options = DistributionOptions.FromMachine();
        return insecure ? options with { Registries = options.Registries.WithInsecure(reference.Domain) } : options;
    }

    /// <summary>Defines <c>--format</c> for a verb that says what it did by <see cref="Tell"/>.</summary>
    protected void DefineFormat(FlagSet flags) =>
        flags.Value("format", null, "template", "json, or a template of Go's kind, for each line", value => _format = value);

    /// <summary>Prints one result: in the format asked for, else as <paramref name="plain"/> has it.</summary>
    protected void Tell(Invocation call, string plain, params ReadOnlySpan<(string Key, string? Value)> fields)
    {
        if (_format is null)
        {
            call.Output.WriteLine(plain);
            return;
        }

        var row = new JsonObject();
        foreach (var (key, value) in fields) row[key] = value ?? "";
        call.Output.Write(OutputFormat.Parse(_format).One(row));
    }

    protected void TellRemoved(Invocation call, RemovedImage removed)
    {
        if (removed.Untagged is { } name) Tell(call, $"Untagged: {name.Familiar}", ("Untagged", name.Familiar));
        if (removed.Deleted is { } digest) Tell(call, $"Deleted: {digest}", ("Deleted", digest.ToString()));
    }

    protected static Platform? ParsePlatform(string? text) => text is null ? null : Platform.Parse(text);

    /// <summary>Does something for each argument and goes on after a failure; the exit code is 1 when any failed.</summary>
    protected static int ForEach(Invocation call, Action<string> action) => call.ForEach(action, print: false);
}

/// <summary>Where Hull keeps its state.</summary>
internal static class StateRoot
{
    /// <summary>Given with <c>--root</c> before the verb.</summary>
    public static string? Global { get; set; }

    public static string Resolve(string? given = null) => Path.GetFullPath(
        given ?? Global ?? (Environment.GetEnvironmentVariable("HULL_ROOT") is { Length: > 0 } configured ? configured : "/var/lib/hull"));
}
