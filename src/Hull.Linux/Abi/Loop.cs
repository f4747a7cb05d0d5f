using System.Runtime.InteropServices;

namespace Hull.Linux.Abi;

/// <summary>Requests and flags of loop(4).</summary>
[CHeader("linux/loop.h")]
public static class LoopAbi
{
    public const uint LOOP_CONFIGURE = 0x4C0A;
    public const uint LOOP_CTL_GET_FREE = 0x4C82;
    public const uint LO_FLAGS_READ_ONLY = 1;
    public const uint LO_FLAGS_AUTOCLEAR = 4;
}

/// <summary>struct loop_config; of the struct loop_info64 inside it only the flags have a name here.</summary>
[StructLayout(LayoutKind.Explicit, Size = 304)]
public struct LoopConfig
{
    [FieldOffset(0)]
    public uint fd;

    [FieldOffset(4)]
    public uint block_size;

    /// <summary>info.lo_flags: behind five 64-bit members and three 32-bit ones of info, which starts at 8.</summary>
    [FieldOffset(60)]
    public uint lo_flags;
}
