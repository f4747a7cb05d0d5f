using Hull.Core;
using Hull.Linux;
using Hull.Linux.Abi;
using Hull.Linux.Processes;
using Hull.Linux.Syscalls;

namespace Hull.Engine.Drivers.Shims;

/// <summary>Starts shims.</summary>
public sealed class ShimLauncher(string? path)
{
    /// <summary>The program: as configured, else beside this one.</summary>
    public string Program { get; } = path ?? Path.Combine(AppContext.BaseDirectory, "hull-shim");

    /// <summary>
    /// Starts a shim for a runtime directory; answers the engine's end of its first connection. The shim is a leader of
    /// its own session and keeps nothing of the engine but that socket.
    /// </summary>
    public (ChildProcess Process, SafeFd Socket) Start(string runtimeDirectory)
    {
        var (ours, theirs) = SocketCalls.CreatePair(Sockets.SOCK_STREAM);
        using (theirs)
        {
            try
            {
                using var log = Check.Descriptor(
                    FileCalls.OpenAt(Fcntl.AT_FDCWD, Path.Combine(runtimeDirectory, "shim.log"),
                        Fcntl.O_WRONLY | Fcntl.O_CREAT | Fcntl.O_APPEND | Fcntl.O_NOFOLLOW, 0x180),
                    $"open the shim's log in {runtimeDirectory}");
                var process = ChildProcess.Start(new ChildProcessOptions(Program, runtimeDirectory)
                {
                    Stderr = log,
                    ExtraDescriptors = [theirs],
                    NewSession = true,
                    WorkingDirectory = "/",
                    Environment = s_environment,
                });
                return (process, ours);
            }
            catch (HullException error) when (error.Kind == ErrorKind.CommandNotFound)
            {
                ours.Dispose();
                throw new HullException(ErrorKind.Unavailable, $"{Program} is missing: install it beside hulld or set the shim's path", error);
            }
            catch
            {
                ours.Dispose();
                throw;
            }
        }
    }

    /// <summary>
    /// A shim needs no environment but PATH for runtimes by name, and settings of the language runtime that keep its
    /// heap small.
    /// </summary>
    private static readonly Dictionary<string, string> s_environment = new()
    {
        ["PATH"] = Environment.GetEnvironmentVariable("PATH") ?? "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
        ["DOTNET_GCHeapHardLimit"] = "0x4000000",
        ["DOTNET_GCgen0size"] = "0x40000",
    };
}
