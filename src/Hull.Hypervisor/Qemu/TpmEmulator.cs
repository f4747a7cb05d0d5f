using Hull.Linux;
using Hull.Linux.Processes;
using Hull.Linux.Syscalls;

namespace Hull.Hypervisor.Qemu;

/// <summary>
/// The emulator of a TPM 2.0 (swtpm(8)) of one machine, in a jail of its own. It keeps what the TPM knows in a directory of
/// the machine's, and ends when the monitor lets go of its connection.
/// </summary>
public static class TpmEmulator
{
    private const string Program = "/usr/bin/swtpm";

    /// <summary>Starts it; the descriptor is the monitor's end of the connection.</summary>
    /// <param name="stateDirectory">Made where it is missing, and given to the jail's user.</param>
    /// <param name="logPath">File that takes what it says.</param>
    public static SafeFd Start(string stateDirectory, string logPath, QemuJail jail)
    {
        if (!File.Exists(Program)) throw HullException.Unsupported($"the program {Program} is missing: install the package swtpm");
        Directory.CreateDirectory(stateDirectory, UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute);
        QemuJail.SetOwner(stateDirectory, jail.UserId);
        Directory.CreateDirectory(jail.Directory, UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute);
        var (near, far) = SocketCalls.CreatePair(Linux.Abi.Sockets.SOCK_STREAM);
        try
        {
            using (far)
            using (var log = Check.Descriptor(FileCalls.OpenAt(Linux.Abi.Fcntl.AT_FDCWD, logPath,
                Linux.Abi.Fcntl.O_WRONLY | Linux.Abi.Fcntl.O_CREAT | Linux.Abi.Fcntl.O_APPEND, 0x180), $"open {logPath}"))
            {
                var process = (jail with { WritablePaths = [stateDirectory] }).Start(Program,
                    ["socket", "--tpm2", "--tpmstate", "dir=" + stateDirectory, "--ctrl", "type=unixio,clientfd=3", "--terminate"], log, [far], kvm: false);
                // Whoever started it reaps it; it is of no other interest how it ends.
                _ = process.WaitAsync(CancellationToken.None).ContinueWith(_ => process.Dispose(), TaskScheduler.Default);
            }

            return near;
        }
        catch
        {
            near.Dispose();
            throw;
        }
    }
}
