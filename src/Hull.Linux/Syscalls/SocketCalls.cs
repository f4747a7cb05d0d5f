using System.Runtime.InteropServices;
using System.Text;
using Hull.Core;
using Hull.Linux.Abi;
using static Hull.Linux.Abi.Sockets;
using static Hull.Linux.Abi.SyscallNumber;

namespace Hull.Linux.Syscalls;

/// <summary>Sockets with what .NET's own do not offer: descriptor passing, peer credentials, raw families.</summary>
public static unsafe class SocketCalls
{
    /// <summary>The most descriptors one message carries (SCM_MAX_FD of the kernel).</summary>
    public const int MaxDescriptors = 253;

    public static SafeFd Create(int family, int type, int protocol = 0) =>
        Check.Descriptor(Kernel.Call(SYS_socket, family, type | SOCK_CLOEXEC, protocol), $"create a socket of family {family}");

    public static (SafeFd First, SafeFd Second) CreatePair(int type)
    {
        var ends = stackalloc int[2];
        // SAFETY: the kernel writes two ints.
        Check.Result(Kernel.Call(SYS_socketpair, AF_UNIX, type | SOCK_CLOEXEC, 0, (nint)ends), $"create a socket pair");
        return (new SafeFd(ends[0]), new SafeFd(ends[1]));
    }

    public static nint Bind(int socket, ReadOnlySpan<byte> address)
    {
        // SAFETY: the address is pinned and its length given.
        fixed (byte* a = address) return Kernel.Call(SYS_bind, socket, (nint)a, address.Length);
    }

    public static nint Connect(int socket, ReadOnlySpan<byte> address)
    {
        // SAFETY: the address is pinned and its length given.
        fixed (byte* a = address) return Kernel.Call(SYS_connect, socket, (nint)a, address.Length);
    }

    public static nint Listen(int socket, int backlog) => Kernel.Call(SYS_listen, socket, backlog);

    public static nint Accept(int socket, int flags = 0) => Kernel.Call(SYS_accept4, socket, 0, 0, flags | SOCK_CLOEXEC);

    public static nint Shutdown(int socket, int how) => Kernel.Call(SYS_shutdown, socket, how);

    public static nint SetOption(int socket, int level, int option, ReadOnlySpan<byte> value)
    {
        // SAFETY: the value is pinned and its length given.
        fixed (byte* v = value) return Kernel.Call(SYS_setsockopt, socket, level, option, (nint)v, value.Length);
    }

    /// <summary>A stream socket connected to a path of the file system (unix(7)); 107 bytes at most.</summary>
    public static SafeFd ConnectUnix(string path, int type = SOCK_STREAM)
    {
        var socket = Create(AF_UNIX, type);
        try
        {
            Check.Result(Connect(socket.Value, UnixAddress(path)), $"connect to {path}");
            return socket;
        }
        catch
        {
            socket.Dispose();
            throw;
        }
    }

    /// <summary>The bytes of struct sockaddr_un for a path.</summary>
    public static byte[] UnixAddress(string path)
    {
        var name = Encoding.UTF8.GetBytes(path);
        if (name.Length is 0 or > 107) throw HullException.Invalid($"socket path '{path}' must have 1 to 107 bytes");
        var address = new byte[2 + name.Length + 1];
        MemoryMarshal.Write(address, (ushort)AF_UNIX);
        name.CopyTo(address, 2);
        return address;
    }

    /// <summary>The process at the other end of a unix socket as the kernel recorded it at connect or listen.</summary>
    public static PeerCredentials GetPeer(SafeFd socket)
    {
        PeerCredentials peer = default;
        var length = sizeof(PeerCredentials);
        // SAFETY: the kernel fills at most length bytes of peer.
        Check.Result(Kernel.Call(SYS_getsockopt, socket.Value, SOL_SOCKET, SO_PEERCRED, (nint)(&peer), (nint)(&length)),
            $"read the peer of {socket}");
        return peer;
    }

    /// <summary>Sends bytes and, with them, descriptors (SCM_RIGHTS). Answers the bytes sent or a negated error number.</summary>
    public static nint Send(int socket, ReadOnlySpan<byte> bytes, ReadOnlySpan<int> descriptors = default, int flags = 0)
    {
        if (descriptors.Length > MaxDescriptors) throw HullException.Invalid($"{descriptors.Length} descriptors do not fit one message");
        Span<byte> control = stackalloc byte[descriptors.IsEmpty ? 0 : ControlSpace(descriptors.Length)];
        if (!descriptors.IsEmpty)
        {
            control.Clear();
            var header = new ControlMessageHeader
            {
                cmsg_len = (nuint)(sizeof(ControlMessageHeader) + descriptors.Length * sizeof(int)),
                cmsg_level = SOL_SOCKET,
                cmsg_type = SCM_RIGHTS,
            };
            MemoryMarshal.Write(control, header);
            MemoryMarshal.AsBytes(descriptors).CopyTo(control[sizeof(ControlMessageHeader)..]);
        }

        // SAFETY: payload, control and the vector on this stack outlive the call.
        fixed (byte* p = bytes)
        fixed (byte* c = control)
        {
            var vector = new IoVector { iov_base = p, iov_len = (nuint)bytes.Length };
            var message = new MessageHeader { msg_iov = &vector, msg_iovlen = 1, msg_control = c, msg_controllen = (nuint)control.Length };
            return Kernel.Call(SYS_sendmsg, socket, (nint)(&message), flags | MSG_NOSIGNAL);
        }
    }

    /// <summary>
    /// Receives bytes and the descriptors that came with them, close-on-exec. Answers the bytes received or a negated
    /// error number; a message whose descriptors did not all fit is refused with EMSGSIZE and they are closed.
    /// </summary>
    public static nint Receive(int socket, Span<byte> bytes, List<SafeFd> descriptors, int flags = 0)
    {
        Span<byte> control = stackalloc byte[ControlSpace(MaxDescriptors)];
        nint result;
        MessageHeader message;
        // SAFETY: payload, control and the vector on this stack outlive the call.
        fixed (byte* p = bytes)
        fixed (byte* c = control)
        {
            var vector = new IoVector { iov_base = p, iov_len = (nuint)bytes.Length };
            message = new MessageHeader { msg_iov = &vector, msg_iovlen = 1, msg_control = c, msg_controllen = (nuint)control.Length };
            result = Kernel.Call(SYS_recvmsg, socket, (nint)(&message), flags | MSG_CMSG_CLOEXEC);
        }

        if (result < 0) return result;
        var first = descriptors.Count;
        for (var rest = control[..(int)message.msg_controllen]; rest.Length >= sizeof(ControlMessageHeader);)
        {
            var header = MemoryMarshal.Read<ControlMessageHeader>(rest);
            var length = (int)header.cmsg_len;
            if (length < sizeof(ControlMessageHeader) || length > rest.Length) break;
            if (header is { cmsg_level: SOL_SOCKET, cmsg_type: SCM_RIGHTS })
            {
                foreach (var number in MemoryMarshal.Cast<byte, int>(rest[sizeof(ControlMessageHeader)..length]))
                    descriptors.Add(new SafeFd(number));
            }

            rest = rest[Math.Min(rest.Length, (length + 7) & ~7)..];
        }

        if ((message.msg_flags & MSG_CTRUNC) == 0) return result;
        foreach (var extra in descriptors[first..]) extra.Dispose();
        descriptors.RemoveRange(first, descriptors.Count - first);
        return -(nint)Errno.EMSGSIZE;
    }

    private static int ControlSpace(int descriptors) => sizeof(ControlMessageHeader) + ((descriptors * sizeof(int) + 7) & ~7);
}
