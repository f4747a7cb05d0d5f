using System.Net.Sockets;
using System.Text;

namespace Hull.Daemon;

/// <summary>Tells systemd how we are (sd_notify(3)); nothing happens where nobody asked.</summary>
internal static class ServiceManager
{
    public static void Notify(string state)
    {
        var path = Environment.GetEnvironmentVariable("NOTIFY_SOCKET");
        if (string.IsNullOrEmpty(path)) return;
        try
        {
            using var socket = new Socket(AddressFamily.Unix, SocketType.Dgram, ProtocolType.Unspecified);
            // A leading @ stands for the zero byte of an abstract address.
            socket.SendTo(Encoding.UTF8.GetBytes(state), new UnixDomainSocketEndPoint(path[0] == '@' ? "\0" + path[1..] : path));
        }
        catch (SocketException)
        {
            // The manager went away; that is no reason to fail.
        }
    }
}
