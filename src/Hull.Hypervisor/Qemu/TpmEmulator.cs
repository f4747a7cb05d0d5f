using Hull.Linux.Processes;

namespace Hull.Hypervisor.Qemu;

/// <summary>
/// The emulator of a TPM 2.0 (swtpm(8)) of one machine. It keeps what the TPM knows in a directory of the machine's, and
/// ends when the monitor lets go of its socket.
/// </summary>
public static class TpmEmulator
{
    private const string Program = "swtpm";
    private static readonly TimeSpan StartLimit = TimeSpan.FromSeconds(20);

    /// <summary>Starts it and waits until it listens. Kill the process where no monitor comes to use it.</summary>
    /// <param name="stateDirectory">Made where it is missing.</param>
    public static async Task<ChildProcess> StartAsync(string stateDirectory, string socket, CancellationToken cancellationToken = default)
    {
        Directory.CreateDirectory(stateDirectory, UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute);
        var process = Start(stateDirectory, socket);
        // Whoever started it reaps it; it is of no other interest how it ends.
        var ended = process.WaitAsync(CancellationToken.None);
        var limit = Environment.TickCount64 + (long)StartLimit.TotalMilliseconds;
        while (!File.Exists(socket))
        {
            if (ended.IsCompleted) throw HullException.Internal($"{Program} ended before it listened on {socket}: {await ended.ConfigureAwait(false)}");
            if (Environment.TickCount64 > limit || cancellationToken.IsCancellationRequested)
            {
                process.Kill(9);
                cancellationToken.ThrowIfCancellationRequested();
                throw new HullException(ErrorKind.Timeout, $"{Program} does not listen on {socket}");
            }

            await Task.Delay(10, CancellationToken.None).ConfigureAwait(false);
        }

        return process;
    }

    private static ChildProcess Start(string stateDirectory, string socket)
    {
        try
        {
            return ChildProcess.Start(new ChildProcessOptions(Program, "socket", "--tpm2", "--tpmstate", "dir=" + stateDirectory,
                "--ctrl", "type=unixio,path=" + socket, "--terminate") { NewSession = true });
        }
        catch (HullException error) when (error.Kind is ErrorKind.CommandNotFound or ErrorKind.NotFound)
        {
            throw new HullException(ErrorKind.Unsupported, "the program swtpm is missing: install the package swtpm", error);
        }
    }
}
