using System.Runtime.InteropServices;

namespace Hull.Linux.Children;

/// <summary>Addresses of C library functions, looked up once and before any clone.</summary>
internal static class NativeFunctions
{
    internal static readonly nint Syscall = Find("syscall");
    internal static readonly nint ErrnoLocation = Find("__errno_location");

    private static nint Find(string name) => NativeLibrary.GetExport(NativeLibrary.GetMainProgramHandle(), name);
}
