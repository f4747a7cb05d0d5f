namespace Hull.Linux.Abi;

/// <summary>Families, types, options and message flags of socket(7), unix(7) and vsock(7).</summary>
[CHeader("sys/socket.h", "linux/vm_sockets.h")]
public static class Sockets
{
    public const int AF_UNIX = 1;
    public const int AF_INET = 2;
    public const int AF_INET6 = 10;
    public const int AF_NETLINK = 16;
    public const int AF_PACKET = 17;
    public const int AF_VSOCK = 40;
    public const int SOCK_STREAM = 1;
    public const int SOCK_DGRAM = 2;
    public const int SOCK_RAW = 3;
    public const int SOCK_SEQPACKET = 5;
    public const int SOCK_CLOEXEC = 0x80000;
    public const int SOCK_NONBLOCK = 0x800;
    public const int SOL_SOCKET = 1;
    public const int SO_RCVBUF = 8;
    public const int SO_SNDBUF = 7;
    public const int SO_PASSCRED = 16;
    public const int SO_PEERCRED = 17;
    public const int SCM_RIGHTS = 1;
    public const int MSG_CMSG_CLOEXEC = 0x40000000;
    public const int MSG_NOSIGNAL = 0x4000;
    public const int MSG_DONTWAIT = 0x40;
    public const int MSG_TRUNC = 0x20;
    public const int MSG_CTRUNC = 8;
    public const int MSG_PEEK = 2;
    public const int SHUT_RD = 0;
    public const int SHUT_WR = 1;
    public const int SHUT_RDWR = 2;
    public const uint VMADDR_CID_ANY = 0xffffffff;
    public const uint VMADDR_CID_HOST = 2;
}

/// <summary>Options of tcp(7).</summary>
[CHeader("netinet/in.h", "netinet/tcp.h")]
public static class Tcp
{
    public const int IPPROTO_TCP = 6;
    public const int TCP_CONGESTION = 13;
    public const int TCP_NOTSENT_LOWAT = 25;
}

[CHeader("sys/socket.h"), CName("struct msghdr")]
public unsafe struct MessageHeader
{
    public void* msg_name;
    public uint msg_namelen;
    public IoVector* msg_iov;
    public nuint msg_iovlen;
    public void* msg_control;
    public nuint msg_controllen;
    public int msg_flags;
}

[CHeader("sys/uio.h"), CName("struct iovec")]
public unsafe struct IoVector
{
    public void* iov_base;
    public nuint iov_len;
}

[CHeader("sys/socket.h"), CName("struct cmsghdr")]
public struct ControlMessageHeader
{
    public nuint cmsg_len;
    public int cmsg_level;
    public int cmsg_type;
}

[CHeader("sys/socket.h"), CName("struct ucred")]
public struct PeerCredentials
{
    public int pid;
    public uint uid;
    public uint gid;
}

/// <summary>Terminal and namespace requests of ioctl(2).</summary>
[CHeader("sys/ioctl.h", "linux/tty.h", "asm/termbits.h", "linux/nsfs.h", "sys/signalfd.h", "sys/eventfd.h")]
public static class Ioctl
{
    public const uint TCGETS = 0x5401;
    public const uint TCSETS = 0x5402;
    public const uint TIOCSCTTY = 0x540E;
    public const uint TIOCNOTTY = 0x5422;
    public const uint TIOCGWINSZ = 0x5413;
    public const uint TIOCSWINSZ = 0x5414;
    public const uint TIOCGPTN = 0x80045430;
    public const uint TIOCSPTLCK = 0x40045431;
    public const uint TIOCGPTPEER = 0x5441;
    public const uint NS_GET_USERNS = 0xb701;
    public const uint NS_GET_PARENT = 0xb702;
    public const uint NS_GET_NSTYPE = 0xb703;
    public const uint ONLCR = 4;
    public const uint OPOST = 1;
    public const uint SFD_CLOEXEC = 0x80000;
    public const uint EFD_CLOEXEC = 0x80000;
    public const uint EFD_NONBLOCK = 0x800;
}

[CHeader("sys/ioctl.h"), CName("struct winsize")]
public struct WindowSize
{
    public ushort ws_row;
    public ushort ws_col;
    public ushort ws_xpixel;
    public ushort ws_ypixel;
}

/// <summary>The kernel's termios, as TCGETS and TCSETS use it (glibc's own is larger).</summary>
[CHeader("asm/termbits.h"), CName("struct termios")]
public unsafe struct KernelTermios
{
    public uint c_iflag;
    public uint c_oflag;
    public uint c_cflag;
    public uint c_lflag;
    public byte c_line;
    public fixed byte c_cc[19];
}
