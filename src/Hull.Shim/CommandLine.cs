using System.Globalization;
using System.Text;
using Hull.Core;
using Hull.Linux.Abi;
using Hull.Linux;
using Hull.Linux.Files;
using Hull.Linux.Syscalls;

namespace Hull.Shim;

/// <summary>What ps(1) and the engine's audit see of this process.</summary>
internal static class CommandLine
{
    /// <summary>Field of /proc/self/stat with the address of the arguments, counted behind the program's name (proc(5), arg_start).</summary>
    private const int ArgumentsField = 45;

    /// <summary>
    /// Writes over the program's only argument, as far as it was long: the kernel shows the memory itself, and
    /// prctl(PR_SET_MM) would need a capability. It is for people; a kernel that refuses is no error.
    /// </summary>
    public static void ReplaceArgument(string text)
    {
        try
        {
            var shown = AtomicFile.Read("/proc/self/cmdline", 1 << 16);
            var start = Array.IndexOf(shown, (byte)0) + 1;
            var argument = new byte[Math.Max(0, shown.Length - start - 1)];
            var bytes = Encoding.UTF8.GetBytes(text);
            bytes.AsSpan(0, Math.Min(bytes.Length, argument.Length)).CopyTo(argument);
            if (shown.AsSpan(start, argument.Length).SequenceEqual(argument)) return;
            var stat = Encoding.ASCII.GetString(AtomicFile.Read("/proc/self/stat", 4096));
            var fields = stat[(stat.LastIndexOf(')') + 2)..].Split(' ');
            var address = long.Parse(fields[ArgumentsField], CultureInfo.InvariantCulture);
            using var memory = Check.Descriptor(FileCalls.OpenAt(Fcntl.AT_FDCWD, "/proc/self/mem", Fcntl.O_WRONLY), $"open /proc/self/mem");
            _ = FileCalls.WriteAt(memory.Value, argument, address + start);
        }
        catch (Exception error) when (error is HullException or FormatException or IndexOutOfRangeException)
        {
            // It keeps the name it has.
        }
    }
}
