using Hull.Cli.Verbs;
using Hull.Client;
using Hull.Core;
using Hull.Protocol;

namespace Hull.Cli.Containers;

/// <summary>
/// Says on the standard error what the start of a virtual machine waits for, such as its template's boot, once it has taken
/// longer than a moment: until this is disposed of, the engine is asked every second over a connection of its own.
/// </summary>
internal sealed class StartNotice : IDisposable
{
    private static readonly TimeSpan s_moment = TimeSpan.FromSeconds(1);

    private readonly ManualResetEventSlim started = new();
    private readonly EngineEndpoint endpoint;
    private readonly TextWriter error;
    private readonly string? container;
    private readonly Lock gate = new();
    private bool over;

    private StartNotice(Invocation call, string? container)
    {
        (endpoint, error, this.container) = (call.Endpoint, call.Error, container);
        new Thread(Watch) { IsBackground = true, Name = "notice" }.Start();
    }

    /// <summary>Null where nothing is waited for that would have to be explained.</summary>
    public static StartNotice? For(Invocation call, HostConfig? host, bool quiet) =>
        !quiet && IsMachine(host) ? new StartNotice(call, null) : null;

    /// <summary>For a container that exists; whether it is a virtual machine is asked once the moment is over.</summary>
    public static StartNotice For(Invocation call, string container) => new(call, container);

    public void Dispose()
    {
        // Nothing is said any more from here on: the output is the program's.
        lock (gate) over = true;
        started.Set();
    }

    private static bool IsMachine(HostConfig? host) => host?.Isolation == "vm" || host?.Runtime == "vm";

    private void Watch()
    {
        var (said, known) = ("", container is null);
        try
        {
            while (!started.Wait(s_moment))
            {
                using var engine = new EngineClient(endpoint, LocalSocket.Dialer);
                if (!known && !IsMachine(engine.Get($"/containers/{Uri.EscapeDataString(container!)}/json", DockerJson.Wire.ContainerInspect).HostConfig)) return;
                known = true;
                var what = engine.Get("/info", DockerJson.Wire.InfoAnswer).Isolations?.GetValueOrDefault("vm")?.Facts.GetValueOrDefault(IsolationInfo.Preparing);
                if (what is null || what == said) continue;
                said = what;
                lock (gate)
                {
                    if (!over) error.WriteLine(what);
                }
            }
        }
        catch (Exception e) when (e is HullException or IOException)
        {
            // An engine that does not answer, or may not be asked: what is waited for says so itself.
        }
    }
}
