using System.Text.Json;
using Hull.Api.Docker;
using Hull.Api.Native;
using Hull.Core;
using Hull.Daemon;
using Hull.Engine.Diagnosis;
using Hull.Protocol;

var log = new Logger(TimeProvider.System);
try
{
    var options = DaemonOptions.Parse(args);
    if (options.ShowHelp)
    {
        Console.WriteLine("Usage: hulld [options]\n\nRuns OCI images as containers or as virtual machines and serves the Docker Engine API.\n\nOptions:");
        foreach (var flag in options.Flags().Flags.OrderBy(f => f.Name, StringComparer.Ordinal))
            Console.WriteLine($"  {(flag.Shorthand is { } letter ? $"-{letter}, " : "    ")}--{flag.Name + (flag.IsSwitch ? "" : " " + flag.ValueName),-38}  {flag.Help}");
        return 0;
    }

    if (options.ShowVersion)
    {
        Console.WriteLine($"hulld {EngineVersion.Own}");
        return 0;
    }

    if (options.Validate)
    {
        log.Configure(options.Config);
        Composition.Networks(options.Config, Composition.Options(options.Config), log);
        Composition.Registries(options.Config);
        Composition.Access(options.Config);
        Console.WriteLine("configuration OK");
        return 0;
    }

    if (options.Diagnose)
    {
        var findings = await HostChecks.RunAsync(Composition.Options(options.Config), TimeProvider.System, CancellationToken.None).ConfigureAwait(false);
        Console.WriteLine(JsonSerializer.Serialize(DoctorEndpoint.ToAnswer(findings), DockerJson.Wire.DoctorAnswer));
        return 0;
    }

    await using var daemon = new Daemon(options, log);
    await daemon.RunAsync().ConfigureAwait(false);
    return 0;
}
catch (HullException e)
{
    log.Error(e.FullMessage);
    return ErrorMapping.ToExitCode(e.Kind);
}
