using System.Globalization;
using System.Text;
using Hull.Linux;
using Hull.Linux.Abi;
using Hull.Linux.Files;
using Hull.Linux.Syscalls;

namespace Hull.Hypervisor.Monitor;

/// <summary>
/// Tells who supervises this process of kills in the guest, in the form of a cgroup's own memory.events: it is there from the
/// beginning and is written over in place, so that it can be watched and read as the kernel's.
/// </summary>
internal sealed class OutOfMemoryFile
{
    private readonly string _path;
    private readonly Lock _gate = new();
    private int _kills;

    public OutOfMemoryFile(string path)
    {
        _path = path;
        AtomicFile.Write(path, "oom_kill 0\n"u8, durable: false);
    }

    public void Add()
    {
        lock (_gate)
        {
            _kills++;
            Write();
        }
    }

    /// <summary>One at least, where none has been told of.</summary>
    public void Require()
    {
        lock (_gate)
        {
            if (_kills == 0) Add();
        }
    }

    private void Write()
    {
        var opened = FileCalls.OpenAt(Fcntl.AT_FDCWD, _path, Fcntl.O_WRONLY | Fcntl.O_NOFOLLOW);
        if (opened < 0) return; // The directory goes with the instance.
        using var file = new SafeFd((int)opened);
        file.WriteAll(Encoding.ASCII.GetBytes(string.Create(CultureInfo.InvariantCulture, $"oom_kill {_kills}\n")), _path);
    }
}
