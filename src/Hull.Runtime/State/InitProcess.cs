using Hull.Core;
using Hull.Linux;
using Hull.Linux.Abi;
using Hull.Linux.Syscalls;

namespace Hull.Runtime.State;

/// <summary>Descriptors of a container's init out of /proc/[pid], which are surely its own and not those of a later process of its number.</summary>
internal static class InitProcess
{
    /// <param name="init">A pidfd of it.</param>
    /// <param name="path">Below /proc/[pid], such as <c>root</c> or <c>ns/pid</c>.</param>
    internal static SafeFd Open(SafeFd init, int pid, string path, int flags)
    {
        var descriptor = Check.Descriptor(FileCalls.OpenAt(Fcntl.AT_FDCWD, $"/proc/{pid}/{path}", flags), $"open {path} of the container's init");
        // A number is given to another process only after the first was collected, and then its pidfd takes no signal.
        if (ProcessCalls.PidfdSendSignal(init.Value, 0) >= 0) return descriptor;
        descriptor.Dispose();
        throw HullException.Conflict($"the container's init {pid} ended");
    }

    /// <summary>The root of init: where the container is, whatever the root of its mount namespace.</summary>
    internal static SafeFd OpenRoot(SafeFd init, int pid) => Open(init, pid, "root", Fcntl.O_PATH | Fcntl.O_DIRECTORY);
}
