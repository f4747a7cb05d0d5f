using System.Collections;
using Hull.Core;
using Hull.Linux.Syscalls;
using static Hull.Linux.Abi.SyscallNumber;

namespace Hull.Linux.Processes;

/// <summary>Becomes another program in the same process, with its descriptors, terminal and environment (execve(2)).</summary>
public static unsafe class ProgramReplacement
{
    /// <summary>
    /// Does not return. <paramref name="path"/> is not looked up in PATH; throws <see cref="ErrorKind.CommandNotFound"/> or
    /// <see cref="ErrorKind.CommandNotExecutable"/> where it cannot be executed.
    /// </summary>
    public static void Execute(string path, IReadOnlyList<string> arguments)
    {
        if (!File.Exists(path)) throw new HullException(ErrorKind.CommandNotFound, $"{path} is missing: install it beside hull");
        var environment = new List<string>();
        foreach (DictionaryEntry variable in Environment.GetEnvironmentVariables()) environment.Add($"{variable.Key}={variable.Value}");
        using var arena = new NativeStrings();
        // SAFETY: the path and both arrays are NUL-terminated memory of the arena, which outlives the call.
        var result = Kernel.Call(SYS_execve, (nint)arena.Add(path), (nint)arena.AddArray([path, .. arguments]), (nint)arena.AddArray(environment));
        throw new HullException(ErrorKind.CommandNotExecutable, $"{path} cannot be executed", Check.Failure((Abi.Errno)(int)-result, "execve"));
    }
}
