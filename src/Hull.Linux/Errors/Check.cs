using System.Runtime.CompilerServices;
using Hull.Core;
using Hull.Linux.Abi;

namespace Hull.Linux;

/// <summary>
/// Turns the kernel's negative results into exceptions. The message is an interpolated string that is only built
/// when the call failed: <c>Check.Result(FileCalls.Fsync(fd), $"flush {path}")</c>.
/// </summary>
public static class Check
{
    /// <summary>Answers a result that is not negative; throws what <paramref name="message"/> says otherwise.</summary>
    public static nint Result(nint result, [InterpolatedStringHandlerArgument(nameof(result))] FailureMessage message)
    {
        if (result < 0) throw Failure((Errno)(int)-result, message.ToString());
        return result;
    }

    /// <summary>Owns the descriptor a call answered; throws where it failed.</summary>
    public static SafeFd Descriptor(nint result, [InterpolatedStringHandlerArgument(nameof(result))] FailureMessage message)
    {
        if (result < 0) throw Failure((Errno)(int)-result, message.ToString());
        return new SafeFd((int)result);
    }

    /// <summary>The exception for an error number: <c>what: words of errno</c>.</summary>
    public static HullException Failure(Errno errno, string what) =>
        new(ErrnoText.KindOf(errno), $"{what}: {ErrnoText.Describe(errno)}", new ErrnoException(errno));
}

/// <summary>An interpolated string that is formatted only where <c>result</c> is negative.</summary>
[InterpolatedStringHandler]
public ref struct FailureMessage
{
    private DefaultInterpolatedStringHandler _handler;

    public FailureMessage(int literalLength, int formattedCount, nint result, out bool failed)
    {
        failed = result < 0;
        if (failed) _handler = new DefaultInterpolatedStringHandler(literalLength, formattedCount);
    }

    public void AppendLiteral(string value) => _handler.AppendLiteral(value);

    public void AppendFormatted<T>(T value) => _handler.AppendFormatted(value);

    public void AppendFormatted<T>(T value, string? format) => _handler.AppendFormatted(value, format);

    public override string ToString() => _handler.ToStringAndClear();
}
