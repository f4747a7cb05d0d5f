using System.Buffers.Binary;
using System.Text;
using Hull.Core;
using Hull.Linux;
using Hull.Linux.Abi;
using Hull.Linux.Cgroups;
using Hull.Linux.Processes;
using Hull.Linux.Syscalls;
using Hull.Linux.Terminals;
using Hull.Shim.Protocol;

namespace Hull.Shim.Runtimes;

/// <summary>
/// A program that stands for the container's init itself and is told through a socket what to do: <c>hull-vm resident</c>.
/// Creation, start and deletion then start no program of their own, each of which costs as much as a short container.
/// </summary>
internal sealed class ResidentProgram : IContainerRuntime, IReady
{
    private const int KillSignal = 9;
    private const int LargestAnswer = 64 * 1024;

    // Hull.Hypervisor.Monitor.MonitorRequest and MonitorReply.
    private const byte StartRequest = 1;
    private const byte CreateRequest = 12;
    private const byte Done = 1;

    private readonly EventLoop _loop;
    private readonly Reaper _reaper;
    private readonly SafeFd _socket;
    private readonly ChildProcess _process;
    private readonly byte[] _buffer = new byte[LargestAnswer];
    private Action<Exception?>? _answer;
    private CreateMessage? _create;
    private OciProgram? _commands;

    private ResidentProgram(EventLoop loop, Reaper reaper, ChildProcess process, SafeFd socket) =>
        (_loop, _reaper, _process, _socket) = (loop, reaper, process, socket);

    /// <summary>Starts the program. It waits to be told for which instance.</summary>
    public static ResidentProgram Spawn(EventLoop loop, Reaper reaper, string program, params string[] arguments)
    {
        var (ours, theirs) = SocketCalls.CreatePair(Sockets.SOCK_SEQPACKET);
        using (theirs)
        {
            var process = ChildProcess.Start(new ChildProcessOptions(program, ["resident", .. arguments])
            {
                ExtraDescriptors = [theirs], NewSession = true, WorkingDirectory = "/",
            });
            var resident = new ResidentProgram(loop, reaper, process, ours);
            loop.Watch(ours.Value, Waiting.EPOLLIN, resident);
            return resident;
        }
    }

    /// <summary>Whether it will answer nothing any more.</summary>
    public bool HasEnded { get; private set; }

    /// <summary>Names the instance whose execs and end are to be served.</summary>
    public ResidentProgram For(CreateMessage create, string directory)
    {
        (_create, _commands) = (create, new OciProgram(create, directory, _reaper));
        return this;
    }

    public void Create(StdioPipes? pipes, Action<Exception?, StartedProcess> done)
    {
        using var terminal = pipes is null ? PseudoTerminal.Create() : null;
        using var nothing = Check.Descriptor(FileCalls.OpenAt(Fcntl.AT_FDCWD, "/dev/null", Fcntl.O_RDWR), $"open /dev/null");
        var master = terminal?.Master.Duplicate();
        int[] streams = terminal is not null ? [terminal.Slave.Value, terminal.Slave.Value, terminal.Slave.Value]
            : [(pipes!.Input ?? nothing).Value, pipes.Output.Value, pipes.Error.Value];
        Ask(CreateRequest, [_create!.RuntimeRoot, _create.Id, _create.Bundle], streams, error =>
        {
            if (error is not null) master?.Dispose();
            done(error, error is null ? new StartedProcess(_process.Pid, master) : default);
        });
    }

    public void Start(Action<Exception?> done) => Ask(StartRequest, [], [], done);

    public void Exec(ExecMessage exec, StdioPipes? pipes, Action<Exception?, StartedProcess> done) => _commands!.Exec(exec, pipes, done);

    public void Delete(Action done)
    {
        try
        {
            Kill();
            var cgroup = CgroupManager.Name(_create!.Id, _create.CgroupsPath);
            cgroup.Kill(KillSignal);
            cgroup.Remove();
            var directory = Path.Combine(_create.RuntimeRoot, _create.Id);
            if (Directory.Exists(directory)) Directory.Delete(directory, recursive: true);
        }
        catch (Exception error) when (error is HullException or IOException)
        {
            // The engine takes back what is left.
        }

        done();
    }

    /// <summary>Ends the program. It was started by this process, so its number is still its own.</summary>
    public void Kill() => _process.Kill(KillSignal);

    /// <summary>The answer to what was asked, or the end of the program.</summary>
    public void OnReady(uint events)
    {
        var none = new List<SafeFd>();
        var count = SocketCalls.Receive(_socket.Value, _buffer, none, Sockets.MSG_DONTWAIT);
        if (count is -(nint)Errno.EAGAIN or -(nint)Errno.EINTR) return;
        if (count <= 0)
        {
            HasEnded = true;
            _loop.Forget(_socket.Value);
        }

        var answer = _answer;
        _answer = null;
        answer?.Invoke(count <= 0 ? new HullException(ErrorKind.Unavailable, "the machine's monitor ended") : ReadFailure(_buffer.AsSpan(0, (int)count)));
    }

    /// <summary>Has the next answer, or the program's end, reported.</summary>
    public void Expect(Action<Exception?> answer)
    {
        if (_answer is not null) throw HullException.Conflict("the machine's monitor is asked something already");
        _answer = answer;
    }

    private void Ask(byte request, ReadOnlySpan<string> fields, ReadOnlySpan<int> descriptors, Action<Exception?> answer)
    {
        var message = new List<byte> { request };
        Span<byte> length = stackalloc byte[sizeof(int)];
        foreach (var field in fields)
        {
            var text = Encoding.UTF8.GetBytes(field);
            BinaryPrimitives.WriteInt32LittleEndian(length, text.Length);
            message.AddRange(length);
            message.AddRange(text);
        }

        Expect(answer);
        if (SocketCalls.Send(_socket.Value, message.ToArray(), descriptors) >= 0) return;
        _answer = null;
        answer(new HullException(ErrorKind.Unavailable, "the machine's monitor has ended"));
    }

    /// <summary>Null where it says that it is done; otherwise a kind and a text.</summary>
    private static HullException? ReadFailure(ReadOnlySpan<byte> answer)
    {
        const int header = 1 + sizeof(int) + sizeof(int);
        if (answer[0] == Done) return null;
        return answer.Length < header ? HullException.Internal("the machine's monitor does not say what failed")
            : new HullException((ErrorKind)BinaryPrimitives.ReadInt32LittleEndian(answer[1..]), Encoding.UTF8.GetString(answer[header..]));
    }
}
