using Hull.Core;
using Hull.Linux;
using Hull.Linux.Abi;
using Hull.Linux.Syscalls;

namespace Hull.Shim;

/// <summary>
/// The program hull-shim: <c>hull-shim RUNTIME-DIRECTORY</c>, with the engine's socket as descriptor 3. The argument is there
/// to be seen: a shim that is started ahead of its instance has one that stands for it, and replaces it on creation.
/// </summary>
public static class ShimMain
{
    private const int EngineSocket = 3;

    public static int Run(string[] arguments)
    {
        if (arguments is not [_])
        {
            Complain("usage: hull-shim RUNTIME-DIRECTORY, with a socket to the engine as descriptor 3; it is started by hulld");
            return 2;
        }

        try
        {
            // Orphans of the container's runtime, its init above all, become children of this process.
            Check.Result(ProcessCalls.Prctl(Prctl.PR_SET_CHILD_SUBREAPER, 1), $"become a subreaper");
            using var loop = new EventLoop();
            var supervisor = new Supervisor(loop);
            supervisor.Adopt(new SafeFd(EngineSocket));
            loop.Run();
            return 0;
        }
        catch (HullException error)
        {
            Complain(error.FullMessage);
            return 1;
        }
    }

    /// <summary>No Console class: it costs more memory than the rest of the shim.</summary>
    private static void Complain(string message) =>
        FileCalls.Write(2, System.Text.Encoding.UTF8.GetBytes($"hull-shim: {message}\n"));
}
