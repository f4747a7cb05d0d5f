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
/// <item>no allocation, no exception, no static field, no call but through the given function pointers;</item>
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

    /// <summary>
    /// Clones. Answers the pid, or a negated error number, in the parent; in the child it does not return. One method, long
    /// as it is: a call to another could go through a stub of the runtime that is yet to be resolved, and under the
    /// just-in-time compiler those lie in memory shared with the parent.
    /// </summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization | MethodImplOptions.NoInlining)]
    internal static nint CloneAndRun(Context* context)
    {
        // SAFETY: context and everything it points to is native memory that outlives the call; see the rules above.
        var pid = context->Syscall(context->CloneNumber, (nint)context->Clone, sizeof(CloneArgs), 0, 0, 0, 0);
        if (pid == -1) return -(nint)(*context->ErrnoLocation());
        if (pid != 0) return pid;

        for (var i = 0; i < context->CloseRangeCount; i++)
            context->Syscall(context->CloseRangeNumber, (nint)context->CloseRanges[i].First, (nint)context->CloseRanges[i].Last, 0, 0, 0, 0);

        var slots = context->Slots;
        var failure = context->Failure;
        nint lastError = 0;
        var index = 0;
        while (index < context->Count)
        {
            var op = context->Operations + index;
            var a = op->Slots[0] == ChildOp.NoSlot ? (nint)op->Arguments[0] : slots[op->Slots[0]];
            var b = op->Slots[1] == ChildOp.NoSlot ? (nint)op->Arguments[1] : slots[op->Slots[1]];
            var c = op->Slots[2] == ChildOp.NoSlot ? (nint)op->Arguments[2] : slots[op->Slots[2]];
            nint error = 0;
            var fatal = false;
            if (op->Kind == ChildOpKind.Call)
            {
                var d = op->Slots[3] == ChildOp.NoSlot ? (nint)op->Arguments[3] : slots[op->Slots[3]];
                var e = op->Slots[4] == ChildOp.NoSlot ? (nint)op->Arguments[4] : slots[op->Slots[4]];
                var f = op->Slots[5] == ChildOp.NoSlot ? (nint)op->Arguments[5] : slots[op->Slots[5]];
                nint result;
                do
                {
                    result = context->Syscall(op->Number, a, b, c, d, e, f);
                    error = result == -1 ? *context->ErrnoLocation() : 0;
                }
                while (error == (nint)Errno.EINTR);
                if (error != 0) lastError = error;
                else if (op->Result >= 0) slots[op->Result] = result;
            }
            else if (op->Kind == ChildOpKind.Compare)
            {
                error = (a & c) == b ? 0 : (nint)Errno.EINVAL;
            }
            else if (op->Kind == ChildOpKind.Load)
            {
                slots[op->Result] = b == 1 ? *(byte*)a : b == 2 ? *(ushort*)a : b == 4 ? (nint)(*(uint*)a) : *(nint*)a;
            }
            else if (op->Kind == ChildOpKind.Store)
            {
                *(int*)a = (int)b;
            }
            else if (op->Kind == ChildOpKind.Set)
            {
                slots[op->Result] = a;
            }
            else if (op->Kind == ChildOpKind.LastError)
            {
                slots[op->Result] = lastError;
            }
            else if (op->Kind == ChildOpKind.Fail)
            {
                error = a;
                fatal = true;
            }

            if (error == 0)
            {
                index = op->OnSuccess == ChildOp.Next ? index + 1 : op->OnSuccess;
                continue;
            }

            var tolerated = (op->ToleratedLow | op->ToleratedHigh) == 0
                || (((error < 64 ? op->ToleratedLow : op->ToleratedHigh) >> (int)(error & 63)) & 1) != 0;
            if (fatal || op->OnFailure == ChildOp.Abort || !tolerated)
            {
                failure->Magic = ChildFailure.Mark;
                failure->Operation = index;
                failure->Errno = (int)error;
                context->Syscall(context->WriteNumber, slots[context->ReportSlot], (nint)failure, sizeof(ChildFailure), 0, 0, 0);
                context->Syscall(context->ExitNumber, 1, 0, 0, 0, 0, 0);
            }

            index = op->OnFailure == ChildOp.Next ? index + 1 : op->OnFailure;
        }

        context->Syscall(context->ExitNumber, 0, 0, 0, 0, 0, 0);
        return 0;
    }
}
