using System.Globalization;
using System.Net.Sockets;
using System.Text;
using System.Text.RegularExpressions;

namespace Hull.MachineContract.Tests;

/// <summary>A root shell on a machine's serial port, put there by <see cref="UserData"/>.</summary>
public sealed class SerialShell : IDisposable
{
    /// <summary>Cloud-init's part: the login prompt makes way for a shell without echo, and says when it is ready.</summary>
    public const string UserData = """
        #cloud-config
        runcmd:
        - [systemctl, stop, serial-getty@ttyS0]
        - [sh, -c, 'dmesg -n 1; stty -F /dev/ttyS0 -echo; systemd-run -q -p KillSignal=SIGKILL sh -c "exec sh < /dev/ttyS0 > /dev/ttyS0 2>&1"; echo HULL-READY-$(hostname) > /dev/ttyS0']

        """;

    private readonly Socket _socket = new(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
    private readonly StringBuilder _text = new();
    private int _commands;

    public SerialShell(string path)
    {
        _socket.Connect(new UnixDomainSocketEndPoint(path));
        _ = Task.Run(ReadAsync);
    }

    public string Text
    {
        get
        {
            lock (_text) return _text.ToString();
        }
    }

    /// <summary>Runs a command and answers what it printed.</summary>
    public async Task<string> RunAsync(string command)
    {
        var mark = string.Create(CultureInfo.InvariantCulture, $"{++_commands}-{Environment.TickCount64}");
        // Others write to the console too, so each line of ours carries a mark.
        await _socket.SendAsync(Encoding.UTF8.GetBytes($"\n{{ {command}; }} 2>&1 | sed 's/^/LINE-{mark}:/'; echo END-{mark}\n"));
        await WaitForAsync($"END-{mark}");
        return string.Join('\n', Regex.Matches(Text, $"LINE-{mark}:([^\r\n]*)").Select(match => match.Groups[1].Value));
    }

    public async Task<Match> WaitForAsync(string pattern, int seconds = 300)
    {
        var end = Environment.TickCount64 + seconds * 1000L;
        while (Environment.TickCount64 < end)
        {
            var match = Regex.Match(Text, pattern);
            if (match.Success) return match;
            await Task.Delay(50);
        }

        throw new TimeoutException($"nothing like {pattern} on the console:\n{Text}");
    }

    public void Dispose() => _socket.Dispose();

    private async Task ReadAsync()
    {
        var buffer = new byte[4096];
        try
        {
            int count;
            while ((count = await _socket.ReceiveAsync(buffer)) > 0)
            {
                lock (_text) _text.Append(Encoding.UTF8.GetString(buffer, 0, count));
            }
        }
        catch (Exception end) when (end is SocketException or ObjectDisposedException)
        {
            // The machine or the test let go of it.
        }
    }
}
