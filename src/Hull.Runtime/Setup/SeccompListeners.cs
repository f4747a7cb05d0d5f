using Hull.Core;
using Hull.Linux;
using Hull.Linux.Syscalls;
using Hull.Oci.Runtime;

namespace Hull.Runtime.Setup;

/// <summary>Hands the notify descriptor of a filter to the agent the spec names (config-linux.md, "listenerPath").</summary>
internal static class SeccompListeners
{
    internal static void Send(SeccompSpec seccomp, SafeFd listener, int pid, Hull.Oci.Runtime.State state)
    {
        using (listener)
        {
            var path = seccomp.ListenerPath is { Length: > 0 } given
                ? given
                : throw HullException.Invalid("linux.seccomp: a filter with SCMP_ACT_NOTIFY needs a listenerPath");
            var message = new ContainerProcessState
            {
                OciVersion = state.OciVersion, Fds = ["seccompFd"], Pid = pid, Metadata = seccomp.ListenerMetadata ?? "", State = state,
            };
            using var socket = Connect(path);
            var content = RuntimeDocuments.WriteProcessState(message);
            Check.Result(SocketCalls.Send(socket.Value, content, [listener.Value]), $"send the seccomp listener to {path}");
        }
    }

    private static SafeFd Connect(string path)
    {
        try
        {
            return SocketCalls.ConnectUnix(path);
        }
        catch (HullException error)
        {
            throw new HullException(error.Kind, $"failed to connect with seccomp agent of linux.seccomp.listenerPath: {error.Message}", error);
        }
    }
}
