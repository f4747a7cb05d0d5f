using System.Net;
using System.Runtime.InteropServices;
using Hull.Core;
using Hull.Registry;
using Hull.RegistryServer;

try
{
    var options = RegistryArguments.Parse(args);
    if (options is null)
    {
        Console.Out.Write(RegistryArguments.Help);
        return 0;
    }

    using var stop = new CancellationTokenSource();
    void Stop(PosixSignalContext context)
    {
        context.Cancel = true;
        stop.Cancel();
    }

    using var terminate = PosixSignalRegistration.Create(PosixSignal.SIGTERM, Stop);
    using var interrupt = PosixSignalRegistration.Create(PosixSignal.SIGINT, Stop);
    using var registry = new RegistryService(options, line => Console.Error.WriteLine("hull-registry: " + line));
    var scheme = options.Certificate is null ? "http" : "https";
    await registry.RunAsync(address => Console.Error.WriteLine($"hull-registry: listening on {scheme}://{address}"), stop.Token).ConfigureAwait(false);
    return 0;
}
catch (HullException error)
{
    Console.Error.WriteLine("hull-registry: " + error.FullMessage);
    return ErrorMapping.ToExitCode(error.Kind);
}
catch (System.Net.Sockets.SocketException error)
{
    Console.Error.WriteLine("hull-registry: cannot listen: " + error.Message);
    return 1;
}
