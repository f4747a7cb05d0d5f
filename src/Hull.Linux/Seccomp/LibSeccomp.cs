using System.Runtime.InteropServices;
using Hull.Core;

namespace Hull.Linux.Seccomp;

/// <summary>
/// libseccomp (seccomp_init(3) and its neighbours). The library is opened at the first call, so a runtime that never
/// compiles a filter runs without it.
/// </summary>
internal static unsafe partial class LibSeccomp
{
    private const string Library = "libseccomp.so.2";

    internal const int AttributeOptimize = 8; // SCMP_FLTATR_CTL_OPTIMIZE
    internal const int UnknownCall = -1; // __NR_SCMP_ERROR
    internal const uint ArchX86On64 = 0xC000003E; // SCMP_ARCH_X86_64
    internal const uint ArchX32 = 0x4000003E; // SCMP_ARCH_X32

    /// <summary>struct scmp_arg_cmp.</summary>
    [StructLayout(LayoutKind.Sequential)]
    internal struct Comparison
    {
        internal uint Argument;
        internal int Operator;
        internal ulong A;
        internal ulong B;
    }

    [LibraryImport(Library, EntryPoint = "seccomp_init")]
    internal static partial nint Init(uint defaultAction);

    [LibraryImport(Library, EntryPoint = "seccomp_release")]
    internal static partial void Release(nint context);

    [LibraryImport(Library, EntryPoint = "seccomp_arch_add")]
    internal static partial int AddArchitecture(nint context, uint token);

    [LibraryImport(Library, EntryPoint = "seccomp_arch_native")]
    internal static partial uint NativeArchitecture();

    [LibraryImport(Library, EntryPoint = "seccomp_arch_resolve_name", StringMarshalling = StringMarshalling.Utf8)]
    internal static partial uint ResolveArchitecture(string name);

    [LibraryImport(Library, EntryPoint = "seccomp_syscall_resolve_name", StringMarshalling = StringMarshalling.Utf8)]
    internal static partial int ResolveCall(string name);

    [LibraryImport(Library, EntryPoint = "seccomp_syscall_resolve_name_arch", StringMarshalling = StringMarshalling.Utf8)]
    internal static partial int ResolveCall(uint token, string name);

    [LibraryImport(Library, EntryPoint = "seccomp_attr_set")]
    internal static partial int SetAttribute(nint context, int attribute, uint value);

    [LibraryImport(Library, EntryPoint = "seccomp_rule_add_array")]
    private static partial int AddRule(nint context, uint action, int call, uint count, Comparison* comparisons);

    [LibraryImport(Library, EntryPoint = "seccomp_export_bpf")]
    internal static partial int Export(nint context, int descriptor);

    internal static int AddRule(nint context, uint action, int call, ReadOnlySpan<Comparison> comparisons)
    {
        // SAFETY: the comparisons are pinned for the call and counted; a null pointer goes with a count of 0.
        fixed (Comparison* first = comparisons) return AddRule(context, action, call, (uint)comparisons.Length, first);
    }

    internal static HullException Missing(Exception cause) => new(ErrorKind.Unsupported,
        $"a seccomp filter needs {Library}, which cannot be loaded: install libseccomp or leave linux.seccomp out", cause);
}
