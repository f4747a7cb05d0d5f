using System.Net.Sockets;
using Hull.Client.Transports;
using Hull.Core;
using Hull.Linux;
using Hull.Linux.Abi;
using Hull.Linux.Syscalls;
using Microsoft.Win32.SafeHandles;

namespace Hull.Cli.Verbs;

/// <summary>A unix socket as a file that is read and written: no thread, no event queue.</summary>
internal static class LocalSocket
{
    /// <summary>Null on systems other than Linux.</summary>
    public static LocalDialer? Dialer => OperatingSystem.IsLinux() ? Dial : null;

    /// <exception cref="SocketException">Nobody answers there, or not us.</exception>
    private static FileStream Dial(string path, out Action finishSending)
    {
        SafeFileHandle socket;
        try
        {
            socket = new SafeFileHandle(SocketCalls.ConnectUnix(path).Release(), ownsHandle: true);
        }
        catch (HullException error)
        {
            throw new SocketException((int)(error.Errno switch
            {
                Errno.EACCES or Errno.EPERM => SocketError.AccessDenied,
                Errno.ENOENT or Errno.ENOTDIR => SocketError.AddressNotAvailable,
                Errno.ECONNREFUSED => SocketError.ConnectionRefused,
                _ => SocketError.SocketError,
            }), error.Message);
        }

        finishSending = () => _ = SocketCalls.Shutdown((int)socket.DangerousGetHandle(), Sockets.SHUT_WR);
        // Its own buffer would keep back what is to be sent, and read what is not asked for.
        return new FileStream(socket, FileAccess.ReadWrite, bufferSize: 0, isAsync: false);
    }
}
