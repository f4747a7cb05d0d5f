using System.Runtime.InteropServices;
using Hull.Core;
using Hull.Linux.Abi;
using Hull.Linux.Syscalls;

namespace Hull.Linux.Children;

/// <summary>A place where an operation leaves its result for later ones, such as a descriptor it opened.</summary>
public readonly record struct Slot(byte Index);

/// <summary>A position in a program that jumps can name before it is known.</summary>
public sealed class Label
{
    internal int Position = -1;
    internal readonly List<(int Operation, bool Success)> Uses = [];
}

/// <summary>An argument of a call: a number, a slot, or native memory of the program.</summary>
public readonly struct Argument
{
    private readonly nint _value;

    // One more than the slot's index, so that the default is the number 0.
    private readonly byte _slot;

    private Argument(nint value, byte slot = 0)
    {
        _value = value;
        _slot = slot;
    }

    internal nint Value => _value;

    internal byte Slot => _slot == 0 ? ChildOp.NoSlot : (byte)(_slot - 1);

    public static implicit operator Argument(int value) => new(value);

    public static implicit operator Argument(uint value) => new((nint)value);

    public static implicit operator Argument(ulong value) => new((nint)value);

    public static implicit operator Argument(nint value) => new(value);

    public static implicit operator Argument(Slot slot) => new(0, (byte)(slot.Index + 1));

    public static implicit operator Argument(byte value) => new(value);
}

/// <summary>
/// What a cloned child is to do until it executes a program: a list of system calls with all their memory, compiled
/// by the parent. The child is a copy of a managed process in which no managed code may run, so it gets data and an
/// interpreter of a few lines (<see cref="ChildInterpreter"/>) instead of code. See also the other parts of this class for
/// operations by topic.
/// <para>
/// An operation that fails is reported with its index and error number, and the child ends; <see cref="Describe"/> turns
/// that into the words it was added with.
/// </para>
/// </summary>
public sealed unsafe partial class ChildProgram : IDisposable
{
    /// <summary>The most slots a program may use.</summary>
    private const int MaxSlots = 250;

    private readonly NativeStrings _memory = new();
    private readonly List<ChildOp> _operations = new(256);
    private readonly List<(string Verb, string? Subject, ErrorKind? Kind)> _descriptions = new(256);
    private readonly SortedSet<int> _inherited = [];
    private byte _slots;

    public ChildProgram()
    {
        Report = NewSlot();
        Check = NewSlot();
    }

    /// <summary>Holds a value only from one operation of this class to the next.</summary>
    private Slot Check { get; }

    /// <summary>Holds the descriptor failures are reported on; set before the first operation can fail.</summary>
    public Slot Report { get; }

    internal int Count => _operations.Count;

    public Slot NewSlot() => _slots < MaxSlots ? new Slot(_slots++) : throw HullException.Internal("too many slots in a child program");

    /// <summary>
    /// Keeps a descriptor of the parent open in the child, where all others are closed before the first operation. Nothing
    /// of the host, and no channel of another container that is made at the same time, stays open behind our back.
    /// </summary>
    public Argument Inherit(SafeFd descriptor) => Inherit(descriptor.Value);

    /// <inheritdoc cref="Inherit(SafeFd)"/>
    public Argument Inherit(System.Runtime.InteropServices.SafeHandle descriptor) => Inherit((int)descriptor.DangerousGetHandle());

    private Argument Inherit(int descriptor)
    {
        _inherited.Add(descriptor);
        return descriptor;
    }

    /// <summary>Adds a system call. It aborts the child when it fails, unless changed by the returned <see cref="Operation"/>.</summary>
    public Operation Call(string verb, string? subject, nint number, Argument a = default, Argument b = default, Argument c = default,
        Argument d = default, Argument e = default, Argument f = default, Slot? result = null)
    {
        var op = NewOp(ChildOpKind.Call);
        op.Number = number;
        op.Result = result?.Index ?? -1;
        Set(ref op, 0, a);
        Set(ref op, 1, b);
        Set(ref op, 2, c);
        Set(ref op, 3, d);
        Set(ref op, 4, e);
        Set(ref op, 5, f);
        return Add(op, verb, subject);
    }

    /// <summary>Puts a value into a slot.</summary>
    public void Set(Slot slot, Argument value)
    {
        var op = NewOp(ChildOpKind.Set);
        op.Result = slot.Index;
        Set(ref op, 0, value);
        Add(op, "set", null);
    }

    /// <summary>Goes on where the label is.</summary>
    public void Jump(Label label) => Add(NewOp(ChildOpKind.Jump), "jump", null).OnSuccess(label);

    /// <summary>Aborts unless (slot &amp; mask) equals the value; <see cref="Operation.OnFailure"/> makes it a branch.</summary>
    public Operation Expect(string verb, string? subject, Slot slot, Argument value, nint mask = -1)
    {
        var op = NewOp(ChildOpKind.Compare);
        Set(ref op, 0, slot);
        Set(ref op, 1, value);
        Set(ref op, 2, mask);
        return Add(op, verb, subject);
    }

    /// <summary>Loads 1, 2, 4 or 8 bytes of native memory into a slot.</summary>
    public void Load(Slot slot, nint address, int size)
    {
        var op = NewOp(ChildOpKind.Load);
        op.Result = slot.Index;
        Set(ref op, 0, address);
        Set(ref op, 1, size);
        Add(op, "load", null);
    }

    /// <summary>Stores the low 32 bits of a value in native memory.</summary>
    public void Store(nint address, Argument value)
    {
        var op = NewOp(ChildOpKind.Store);
        Set(ref op, 0, address);
        Set(ref op, 1, value);
        Add(op, "store", null);
    }

    /// <summary>Remembers the error number of the last call that failed.</summary>
    public void SaveError(Slot slot)
    {
        var op = NewOp(ChildOpKind.LastError);
        op.Result = slot.Index;
        Add(op, "save", null);
    }

    /// <summary>Reports an error number as the failure of this operation, and ends the child.</summary>
    public Operation Fail(string verb, string? subject, Argument errno)
    {
        var op = NewOp(ChildOpKind.Fail);
        Set(ref op, 0, errno);
        return Add(op, verb, subject);
    }

    /// <summary>Puts the label here.</summary>
    public void Mark(Label label)
    {
        label.Position = _operations.Count;
        foreach (var (operation, success) in label.Uses) Patch(operation, success, label.Position);
    }

    /// <summary>A NUL-terminated copy in the program's memory.</summary>
    public nint Text(string text) => (nint)_memory.Add(text);

    public nint Bytes(ReadOnlySpan<byte> bytes) => (nint)_memory.Add(bytes);

    public nint TextArray(IReadOnlyList<string> strings) => (nint)_memory.AddArray(strings);

    /// <summary>A copy of a struct; its address stays valid in parent and child.</summary>
    public nint Struct<T>(T value) where T : unmanaged => (nint)_memory.Add(value);

    /// <summary>Zeroed memory.</summary>
    public nint Buffer(int size) => (nint)_memory.Allocate(size);

    /// <summary>The exception for a failure that a child reported.</summary>
    public HullException Describe(int operation, Errno errno)
    {
        if ((uint)operation >= (uint)_descriptions.Count) return HullException.Internal($"a child reported operation {operation}, which does not exist");
        var (verb, subject, kind) = _descriptions[operation];
        var what = subject is null ? verb : $"{verb} {subject}";
        return new HullException(kind ?? ErrnoText.KindOf(errno), $"{what}: {ErrnoText.Describe(errno)}", new ErrnoException(errno));
    }

    /// <summary>One line per operation, for tests and for people.</summary>
    public IEnumerable<string> Listing() => _descriptions.Select(entry => entry.Subject is null ? entry.Verb : $"{entry.Verb} {entry.Subject}");

    public void Dispose() => _memory.Dispose();

    /// <summary>Lays the program out in native memory.</summary>
    internal ChildInterpreter.Context* Compile(CloneArgs clone, out int* pidfd)
    {
        var operations = (ChildOp*)_memory.Allocate(_operations.Count * sizeof(ChildOp) + 16);
        CollectionsMarshal.AsSpan(_operations).CopyTo(new Span<ChildOp>(operations, _operations.Count));
        var context = (ChildInterpreter.Context*)_memory.Allocate(sizeof(ChildInterpreter.Context));
        pidfd = (int*)_memory.Allocate(sizeof(long));
        *pidfd = -1;
        clone.flags |= CloneFlags.CLONE_PIDFD;
        clone.pidfd = (ulong)pidfd;
        // SAFETY: all of it is memory of this program's arena, which outlives the clone.
        *context = new ChildInterpreter.Context
        {
            Syscall = (delegate*<nint, nint, nint, nint, nint, nint, nint, nint>)NativeFunctions.Syscall,
            ErrnoLocation = (delegate*<int*>)NativeFunctions.ErrnoLocation,
            Operations = operations,
            Count = _operations.Count,
            ReportSlot = Report.Index,
            Slots = (nint*)_memory.Allocate(MaxSlots * sizeof(nint)),
            Clone = _memory.Add(clone),
            CloneNumber = SyscallNumber.SYS_clone3,
            WriteNumber = SyscallNumber.SYS_write,
            ExitNumber = SyscallNumber.SYS_exit_group,
            Failure = _memory.Add(default(ChildFailure)),
            CloseRangeNumber = SyscallNumber.SYS_close_range,
        };
        SetCloseRanges(context);
        return context;
    }

    /// <summary>The gaps between the descriptors that stay, each closed by one call.</summary>
    private void SetCloseRanges(ChildInterpreter.Context* context)
    {
        // SAFETY: room for one range more than there are descriptors.
        var ranges = context->CloseRanges = (ChildInterpreter.Range*)_memory.Allocate((_inherited.Count + 1) * sizeof(ChildInterpreter.Range));
        uint next = 0;
        foreach (var descriptor in _inherited)
        {
            if (descriptor > next) ranges[context->CloseRangeCount++] = new() { First = next, Last = (uint)descriptor - 1 };
            next = (uint)descriptor + 1;
        }

        ranges[context->CloseRangeCount++] = new() { First = next, Last = uint.MaxValue };
    }

    internal void Patch(int operation, bool success, int target)
    {
        ref var op = ref CollectionsMarshal.AsSpan(_operations)[operation];
        if (success) op.OnSuccess = target;
        else op.OnFailure = target;
    }

    internal void Tolerate(int operation, ReadOnlySpan<Errno> errors)
    {
        ref var op = ref CollectionsMarshal.AsSpan(_operations)[operation];
        foreach (var error in errors)
        {
            if ((int)error < 64) op.ToleratedLow |= 1UL << (int)error;
            else op.ToleratedHigh |= 1UL << ((int)error - 64);
        }
    }

    internal void SetKind(int operation, ErrorKind kind)
    {
        ref var entry = ref CollectionsMarshal.AsSpan(_descriptions)[operation];
        entry.Kind = kind;
    }

    private static ChildOp NewOp(ChildOpKind kind)
    {
        var op = new ChildOp { Kind = kind, Result = -1, OnSuccess = ChildOp.Next, OnFailure = ChildOp.Abort };
        for (var i = 0; i < 6; i++) op.Slots[i] = ChildOp.NoSlot;
        return op;
    }

    private static void Set(ref ChildOp op, int index, Argument argument)
    {
        op.Arguments[index] = argument.Value;
        op.Slots[index] = argument.Slot;
    }

    private Operation Add(ChildOp op, string verb, string? subject)
    {
        _operations.Add(op);
        _descriptions.Add((verb, subject, null));
        return new Operation(this, _operations.Count - 1);
    }
}

/// <summary>The operation just added, to say what its success and failure lead to.</summary>
public readonly struct Operation(ChildProgram program, int index)
{
    /// <summary>Goes to the label after success.</summary>
    public Operation OnSuccess(Label label)
    {
        if (label.Position >= 0) program.Patch(index, true, label.Position);
        else label.Uses.Add((index, true));
        return this;
    }

    /// <summary>Goes to the label after one of the errors, or after any where none are named; others abort.</summary>
    public Operation OnFailure(Label label, params ReadOnlySpan<Errno> errors)
    {
        if (label.Position >= 0) program.Patch(index, false, label.Position);
        else label.Uses.Add((index, false));
        program.Tolerate(index, errors);
        return this;
    }

    /// <summary>Goes on after one of the errors, or after any where none are named.</summary>
    public Operation Ignore(params ReadOnlySpan<Errno> errors)
    {
        program.Patch(index, false, ChildOp.Next);
        program.Tolerate(index, errors);
        return this;
    }

    /// <summary>The kind its failure is thrown with, where the error number's own is not right.</summary>
    public Operation As(ErrorKind kind)
    {
        program.SetKind(index, kind);
        return this;
    }
}
