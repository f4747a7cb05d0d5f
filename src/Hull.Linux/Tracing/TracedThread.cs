using Hull.Core;
using Hull.Linux.Abi;
using Hull.Linux.Syscalls;
using static Hull.Linux.Abi.Ptrace;

namespace Hull.Linux.Tracing;

/// <summary>
/// A thread of another process that is stopped by ptrace(2), and in whose name system calls can be made. Everything must
/// happen on the thread that attached. x86-64 only.
/// </summary>
internal sealed unsafe class TracedThread
{
    private const int WholeTree = 0x40000000; // __WALL
    private const int Trap = 5; // SIGTRAP
    private const int LargestExtendedState = 16384;
    /// <summary>So often the processor is only offered to others between two looks, which is all that most stops take.</summary>
    private const int QuickLooks = 500;

    private readonly ulong _callInstruction;
    private readonly TimeSpan _mostWait;
    private readonly int _options;
    private byte[] _extended = [];
    private ulong _mask;
    private UserRegisters _saved;

    private TracedThread(int id, ulong callInstruction, TimeSpan mostWait, int options) =>
        (Id, _callInstruction, _mostWait, _options) = (id, callInstruction, mostWait, options);

    /// <summary>Thread id in this process's namespace.</summary>
    public int Id { get; }

    /// <summary>The registers it was stopped with.</summary>
    public UserRegisters Saved => _saved;

    /// <summary>Attaches to a thread, which runs or waits, and stops it. New threads and processes it makes will be attached too.</summary>
    /// <param name="callInstruction">Address of a system call instruction in its memory.</param>
    /// <param name="mostWait">A stop comes within microseconds; what takes longer than this is not going to stop, and an error.</param>
    /// <param name="unfiltered">While it is attached, no seccomp filter is asked about its calls or its clones', which needs CAP_SYS_ADMIN.</param>
    public static TracedThread Stop(int id, ulong callInstruction, TimeSpan mostWait, bool unfiltered)
    {
        var thread = new TracedThread(id, callInstruction, mostWait, PTRACE_O_TRACECLONE | (unfiltered ? PTRACE_O_SUSPEND_SECCOMP : 0));
        thread.Demand(thread.Trace(PTRACE_SEIZE, 0, thread._options), "attach to");
        thread.Demand(thread.Trace(PTRACE_INTERRUPT), "stop");
        thread.AwaitStop(PTRACE_EVENT_STOP);
        thread.Save();
        return thread;
    }

    /// <summary>Makes one system call in the thread's name and answers what the kernel answered.</summary>
    public long Call(nint number, ulong a = 0, ulong b = 0, ulong c = 0, ulong d = 0, ulong e = 0, ulong f = 0)
    {
        Begin(number, a, b, c, d, e, f);
        AwaitStop(0);
        return (long)ReadRegisters().rax;
    }

    /// <summary>The same of a call that must succeed.</summary>
    public ulong Require(string what, nint number, ulong a = 0, ulong b = 0, ulong c = 0, ulong d = 0, ulong e = 0, ulong f = 0)
    {
        var result = Call(number, a, b, c, d, e, f);
        return result is < 0 and > -4096
            ? throw new HullException(ErrorKind.Internal, $"cannot {what} in process {Id}", new ErrnoException((Errno)(int)-result))
            : (ulong)result;
    }

    /// <summary>Makes a call of clone(2) in the thread's name; the new thread or process is attached and stopped.</summary>
    public TracedThread Clone(ulong flags, ulong parentId, ulong childId, ulong threadArea)
    {
        Begin(SyscallNumber.SYS_clone, flags, 0, parentId, childId, threadArea);
        AwaitStop(PTRACE_EVENT_CLONE);
        ulong message = 0;
        Demand(Trace(PTRACE_GETEVENTMSG, 0, (nint)(&message)), "learn the clone of");
        var child = new TracedThread((int)message, _callInstruction, _mostWait, _options);
        child.AwaitStop(PTRACE_EVENT_STOP);
        Demand(Trace(PTRACE_SINGLESTEP), "continue");
        AwaitStop(0);
        child._saved = child.ReadRegisters();
        return child;
    }

    /// <summary>Ends the thread's process with this one, unless it is let go before.</summary>
    public void DieWithTracer() => Demand(Trace(PTRACE_SETOPTIONS, 0, _options | PTRACE_O_EXITKILL), "bind");

    /// <summary>Makes another thread's state this one's, to be continued with; the memory must be the same.</summary>
    public void Become(TracedThread other) => (_saved, _extended, _mask) = (other._saved, other._extended, other._mask);

    /// <summary>Lets the thread go on where it was stopped. A system call it waited in is made again.</summary>
    public void Release()
    {
        const ulong none = ulong.MaxValue;
        const long restartFirst = -516; // ERESTARTSYS, ERESTARTNOINTR, ERESTARTNOHAND and ERESTART_RESTARTBLOCK
        const long restartLast = -512;
        const ulong instructionLength = 2;
        var registers = _saved;
        if ((long)registers.orig_rax >= 0 && (long)registers.rax is >= restartFirst and <= restartLast)
        {
            registers.rip -= instructionLength;
            registers.rax = registers.orig_rax;
        }

        registers.orig_rax = none;
        WriteRegisters(registers);
        fixed (byte* state = _extended)
        {
            // SAFETY: the kernel reads as many bytes as it wrote before.
            var vector = new IoVector { iov_base = state, iov_len = (nuint)_extended.Length };
            Demand(Trace(PTRACE_SETREGSET, RegisterSets.NT_X86_XSTATE, (nint)(&vector)), "set the state of");
        }

        var mask = _mask;
        Demand(Trace(PTRACE_SETSIGMASK, sizeof(ulong), (nint)(&mask)), "set the signals of");
        Demand(Trace(PTRACE_DETACH), "let go of");
    }

    private void Begin(nint number, ulong a, ulong b, ulong c, ulong d = 0, ulong e = 0, ulong f = 0)
    {
        var registers = _saved;
        (registers.rip, registers.rax, registers.orig_rax) = (_callInstruction, (ulong)number, ulong.MaxValue);
        (registers.rdi, registers.rsi, registers.rdx, registers.r10, registers.r8, registers.r9) = (a, b, c, d, e, f);
        WriteRegisters(registers);
        Demand(Trace(PTRACE_SINGLESTEP), "continue");
    }

    private void Save()
    {
        _saved = ReadRegisters();
        var state = new byte[LargestExtendedState];
        fixed (byte* bytes = state)
        {
            // SAFETY: the kernel writes no more than the vector has room for.
            var vector = new IoVector { iov_base = bytes, iov_len = (nuint)state.Length };
            Demand(Trace(PTRACE_GETREGSET, RegisterSets.NT_X86_XSTATE, (nint)(&vector)), "read the state of");
            _extended = state[..(int)vector.iov_len];
        }

        ulong mask = 0;
        Demand(Trace(PTRACE_GETSIGMASK, sizeof(ulong), (nint)(&mask)), "read the signals of");
        _mask = mask;
    }

    private UserRegisters ReadRegisters()
    {
        UserRegisters registers = default;
        // SAFETY: the kernel writes no more than the vector has room for.
        var vector = new IoVector { iov_base = &registers, iov_len = (nuint)sizeof(UserRegisters) };
        Demand(Trace(PTRACE_GETREGSET, RegisterSets.NT_PRSTATUS, (nint)(&vector)), "read the registers of");
        return registers;
    }

    private void WriteRegisters(UserRegisters registers)
    {
        // SAFETY: the kernel reads one struct from this stack.
        var vector = new IoVector { iov_base = &registers, iov_len = (nuint)sizeof(UserRegisters) };
        Demand(Trace(PTRACE_SETREGSET, RegisterSets.NT_PRSTATUS, (nint)(&vector)), "set the registers of");
    }

    /// <summary>Waits for the next stop, which must be of that event; 0 is a step made.</summary>
    private void AwaitStop(int wanted)
    {
        var status = WaitForChange();
        if ((status & 0xff) != 0x7f) throw HullException.Internal($"process {Id} ended (status {status:x}) while it was worked on");
        var (signal, happened) = ((status >> 8) & 0xff, status >> 16);
        if (happened != wanted || (wanted == 0 && signal != Trap))
            throw HullException.Internal($"process {Id} stopped by signal {signal}, event {happened} instead of {wanted}");
    }

    /// <summary>Looks again and again: wait4(2) knows no time after which it gives up, and a stuck process must not take its tracer with it.</summary>
    private int WaitForChange()
    {
        var started = System.Diagnostics.Stopwatch.GetTimestamp();
        for (var look = 0; ; look++)
        {
            var status = 0;
            // SAFETY: the kernel writes one int.
            var result = Kernel.Call(SyscallNumber.SYS_wait4, Id, (nint)(&status), WholeTree | Waiting.WNOHANG, 0);
            Demand(result, "wait for");
            if (result != 0) return status;
            if (look < QuickLooks) Thread.Yield();
            else if (System.Diagnostics.Stopwatch.GetElapsedTime(started) < _mostWait) Thread.Sleep(1);
            else throw new HullException(ErrorKind.Timeout, $"process {Id} does not stop: it was waited for {_mostWait.TotalMilliseconds:0} ms");
        }
    }

    private nint Trace(int request, nint address = 0, nint data = 0) => Kernel.Call(SyscallNumber.SYS_ptrace, request, Id, address, data);

    private void Demand(nint result, string what) => Check.Result(result, $"{what} process {Id}");
}
