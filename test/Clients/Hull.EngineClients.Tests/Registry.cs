using System.Diagnostics;
using Hull.Testing;

namespace Hull.EngineClients.Tests;

/// <summary>Hull's registry in the engine's network namespace, on a port that the kernel chooses.</summary>
internal sealed class Registry : IDisposable
{
    private readonly Process process;
    private readonly TemporaryDirectory directory = new("hcr");

    private Registry(Engine engine)
    {
        process = engine.Serve(Repository.Executable("hull-registry"), "--root", directory["data"], "--listen", "127.0.0.1:0");
        while (process.StandardError.ReadLine() is { } line)
        {
            if (!line.Contains("listening on ", StringComparison.Ordinal)) continue;
            Address = line[(line.IndexOf("://", StringComparison.Ordinal) + 3)..].Trim();
            _ = process.StandardError.ReadToEndAsync();
            return;
        }

        throw new InvalidOperationException("the registry ended");
    }

    /// <summary>Host and port.</summary>
    public string Address { get; } = "";

    public static Registry Start(Engine engine) => new(engine);

    public void Dispose()
    {
        process.Kill();
        process.WaitForExit(10_000);
        process.Dispose();
        directory.Dispose();
    }
}
