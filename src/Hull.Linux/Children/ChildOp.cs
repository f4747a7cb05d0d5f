namespace Hull.Linux.Children;

/// <summary>What the interpreter does with an operation.</summary>
internal enum ChildOpKind
{
    /// <summary>Calls the kernel.</summary>
    Call,

    /// <summary>Goes on at <see cref="ChildOp.OnSuccess"/> always.</summary>
    Jump,

    /// <summary>Compares slot <c>a</c> under mask <c>c</c> with <c>b</c>: equal goes to OnSuccess, else OnFailure.</summary>
    Compare,

    /// <summary>Puts the <c>b</c> bytes at address <c>a</c> into the result slot.</summary>
    Load,

    /// <summary>Puts the low 32 bits of argument <c>b</c> at address <c>a</c>.</summary>
    Store,

    /// <summary>Puts argument <c>a</c> into the result slot.</summary>
    Set,

    /// <summary>Reports error number <c>a</c> as the failure of this operation and ends.</summary>
    Fail,

    /// <summary>Puts the error number of the last failed call into the result slot.</summary>
    LastError,
}

/// <summary>
/// One instruction of a <see cref="ChildProgram"/>, in native memory. Each of the six arguments is a number, an address of
/// native memory, or the content of a slot where its byte in <see cref="Slots"/> is not <see cref="NoSlot"/>.
/// </summary>
internal unsafe struct ChildOp
{
    internal const byte NoSlot = 0xff;
    internal const int Next = -1;
    internal const int Abort = -2;

    internal ChildOpKind Kind;

    /// <summary>Where the result goes, or -1.</summary>
    internal int Result;

    /// <summary>The next operation after a success: an index, or <see cref="Next"/>.</summary>
    internal int OnSuccess;

    /// <summary>The next operation after a failure: an index, <see cref="Next"/> or <see cref="Abort"/>.</summary>
    internal int OnFailure;

    /// <summary>Failures with other numbers abort, where one of the words is not 0: bit n of both is error number n.</summary>
    internal ulong ToleratedLow, ToleratedHigh;

    internal nint Number;
    internal fixed long Arguments[6];
    internal fixed byte Slots[6];
}

/// <summary>What a child writes on its report channel when an operation failed.</summary>
internal struct ChildFailure
{
    /// <summary>Tells a failure from any other message on the channel.</summary>
    internal const uint Mark = 0xfa11_0001;

    internal uint Magic;
    internal int Operation;
    internal int Errno;
}
