using System.Diagnostics;

namespace Hull.Testing;

/// <summary>A registry as a program of its own: Hull's, or Debian's docker-registry to compare with.</summary>
public sealed class RegistryProcess : IDisposable
{
    private readonly Process _process;
    private readonly TemporaryDirectory _directory = new("hullreg");

    private RegistryProcess(Func<string, ProcessStartInfo> start, Func<string, string?> address)
    {
        var information = start(_directory.Path);
        information.RedirectStandardError = true;
        information.RedirectStandardOutput = true;
        _process = Process.Start(information) ?? throw new InvalidOperationException("the registry did not start");
        _ = _process.StandardOutput.ReadToEndAsync();
        var said = new List<string>();
        while (_process.StandardError.ReadLine() is { } line)
        {
            said.Add(line);
            if (address(line) is not { } found) continue;
            Address = found;
            _ = _process.StandardError.ReadToEndAsync();
            return;
        }

        throw new InvalidOperationException("the registry ended: " + string.Join('\n', said));
    }

    /// <summary>Where it keeps everything.</summary>
    public string Directory => _directory.Path;

    /// <summary>Host and port.</summary>
    public string Address { get; } = "";

    /// <summary>Hull's registry, over a directory of its own (or another <c>--root</c>) and on a port the kernel chooses.</summary>
    public static RegistryProcess Hull(params string[] options) => Hull(networkOf: null, options);

    /// <param name="networkOf">Id of a process in whose network namespace it listens.</param>
    public static RegistryProcess Hull(int? networkOf, params string[] options) => new(
        directory =>
        {
            string[] words = [Repository.Executable("hull-registry"), "--root", Path.Combine(directory, "data"), "--listen", "127.0.0.1:0", .. options];
            return networkOf is null ? new ProcessStartInfo(words[0], words[1..]) : new ProcessStartInfo("nsenter", ["-t", $"{networkOf}", "-n", .. words]);
        },
        line => line.Contains("listening on ", StringComparison.Ordinal) ? line[(line.IndexOf("://", StringComparison.Ordinal) + 3)..].Trim() : null);

    /// <summary>Debian's docker-registry.</summary>
    public static RegistryProcess Debian()
    {
        var program = Require.Program("docker-registry");
        return new(directory =>
        {
            var configuration = Path.Combine(directory, "config.yml");
            File.WriteAllText(configuration,
                $"version: 0.1\nlog:\n  level: info\n  formatter: json\nstorage:\n  filesystem:\n    rootdirectory: {directory}/data\n  delete:\n    enabled: true\nhttp:\n  addr: 127.0.0.1:0\n");
            return new ProcessStartInfo(program, ["serve", configuration]);
        },
            line => line.IndexOf("listening on ", StringComparison.Ordinal) is var at and >= 0 ? line[(at + 13)..].Split('"', ' ')[0] : null);
    }

    /// <summary>Kills it as kill -9 does.</summary>
    public void Kill() => _process.Kill();

    public void Dispose()
    {
        if (!_process.HasExited) _process.Kill();
        _process.WaitForExit(10_000);
        _process.Dispose();
        _directory.Dispose();
    }
}
