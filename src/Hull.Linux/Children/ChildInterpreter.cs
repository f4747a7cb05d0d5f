using System.Runtime.CompilerServices;
using Hull.Linux.Abi;

namespace Hull.Linux.Children;

/// <summary>
/// The only code of Hull that runs between clone3(2) and execve(2).
/// <para>
/// The child has one thread, a copy of the parent's memory, and whatever locks other threads held when it was made. So
/// this file has rules of its own:
/// </para>
/// <list type="bullet">
/// <item>no allocation, no exception, no static field, no call but to itself and through the given function pointers;</item>
/// <item>no garbage collector: the pointers have the managed calling convention, which for integers is the C one, so that
/// the compiler emits neither a transition nor a poll. A poll could wait for a collection that no thread here will finish;</item>
/// <item>every address is of native memory that the parent filled before;</item>
/// <item>all signals are blocked by the caller, so that nothing can hijack a return address on the stack that is copied.</item>
/// </list>
/// </summary>
internal static unsafe class ChildInterpreter
{
    /// <summary>What the child needs, in native memory.</summary>
    internal struct Context
    {
        /// <summary>syscall(2) of the C library.</summary>
        internal delegate*<nint, nint, nint, nint, nint, nint, nint, nint> Syscall;

        /// <summary>__errno_location of the C library.</summary>
        internal delegate*<int*> ErrnoLocation;
        internal ChildOp* Operations;
        internal int Count;

        /// <summary>The slot that holds the descriptor failures are reported on.</summary>
        internal int ReportSlot;
        internal nint* Slots;
        internal CloneArgs* Clone;
        internal nint CloneNumber;
        internal nint WriteNumber;
        internal nint ExitNumber;
        internal ChildFailure* Failure;

        /// <summary>Descriptors to close first.</summary>
        internal Range* CloseRanges;
        internal int CloseRangeCount;
        internal nint CloseRangeNumber;
    }

    internal struct Range
    {
        internal uint First, Last;
    }

    /// <summary>Clones. Answers the pid, or a negated error number, in the parent; in the child it does not return.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization | MethodImplOptions.NoInlining)]
    internal static nint CloneAndRun(Context* context)
    {
        // SAFETY: context and everything it points to is native memory that outlives the call; see the rules above.
        var pid = context->Syscall(context->CloneNumber, (nint)context->Clone, sizeof(CloneArgs), 0, 0, 0, 0);
        if (pid == -1) return -(nint)(*context->ErrnoLocation());
        if (pid != 0) return pid;
        Run(context);
        return 0;
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization | MethodImplOptions.NoInlining)]
    private static void Run(Context* context)
    {
        for (var i = 0; i < context->CloseRangeCount; i++)
            context->Syscall(context->CloseRangeNumber, (nint)context->CloseRanges[i].First, (nint)context->CloseRanges[i].Last, 0, 0, 0, 0);

        var slots = context->Slots;
        nint lastError = 0;
        for (var index = 0; index < context->Count;)
        {
            var op = context->Operations + index;
            nint error = 0;
            switch (op->Kind)
            {
                case ChildOpKind.Call:
                    error = Call(context, op);
                    if (error != 0) lastError = error;
                    break;
                case ChildOpKind.Compare:
                    error = (Argument(op, 0, slots) & Argument(op, 2, slots)) == Argument(op, 1, slots) ? 0 : (nint)Errno.EINVAL;
                    break;
                case ChildOpKind.Load:
                    slots[op->Result] = op->Arguments[1] == 1 ? *(byte*)op->Arguments[0]
                        : op->Arguments[1] == 2 ? *(ushort*)op->Arguments[0]
                        : op->Arguments[1] == 4 ? (nint)(*(uint*)op->Arguments[0])
                        : *(nint*)op->Arguments[0];
                    break;
                case ChildOpKind.Store:
                    *(int*)op->Arguments[0] = (int)Argument(op, 1, slots);
                    break;
                case ChildOpKind.Set:
                    slots[op->Result] = Argument(op, 0, slots);
                    break;
                case ChildOpKind.LastError:
                    slots[op->Result] = lastError;
                    break;
                case ChildOpKind.Fail:
                    Report(context, index, Argument(op, 0, slots));
                    break;
                default:
                    break;
            }

            if (error == 0)
            {
                index = op->OnSuccess == ChildOp.Next ? index + 1 : op->OnSuccess;
                continue;
            }

            if (op->OnFailure == ChildOp.Abort || !IsTolerated(op, (int)error)) Report(context, index, error);
            index = op->OnFailure == ChildOp.Next ? index + 1 : op->OnFailure;
        }

        context->Syscall(context->ExitNumber, 0, 0, 0, 0, 0, 0);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static nint Argument(ChildOp* op, int index, nint* slots) =>
        op->Slots[index] == ChildOp.NoSlot ? (nint)op->Arguments[index] : slots[op->Slots[index]];

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static bool IsTolerated(ChildOp* op, int error) =>
        (op->ToleratedLow | op->ToleratedHigh) == 0
        || (((error < 64 ? op->ToleratedLow : op->ToleratedHigh) >> (error & 63)) & 1) != 0;

    /// <summary>Answers 0 or the error number.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization | MethodImplOptions.NoInlining)]
    private static nint Call(Context* context, ChildOp* op)
    {
        var slots = context->Slots;
        nint result, error;
        do
        {
            result = context->Syscall(op->Number, Argument(op, 0, slots), Argument(op, 1, slots), Argument(op, 2, slots),
                Argument(op, 3, slots), Argument(op, 4, slots), Argument(op, 5, slots));
            error = result == -1 ? *context->ErrnoLocation() : 0;
        }
        while (error == (nint)Errno.EINTR);
        if (error == 0 && op->Result >= 0) slots[op->Result] = result;
        return error;
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization | MethodImplOptions.NoInlining)]
    private static void Report(Context* context, int operation, nint error)
    {
        var failure = context->Failure;
        failure->Magic = ChildFailure.Mark;
        failure->Operation = operation;
        failure->Errno = (int)error;
        context->Syscall(context->WriteNumber, context->Slots[context->ReportSlot], (nint)failure, sizeof(ChildFailure), 0, 0, 0);
        context->Syscall(context->ExitNumber, 1, 0, 0, 0, 0, 0);
    }
}
