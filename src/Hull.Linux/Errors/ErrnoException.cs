using Hull.Core;
using Hull.Linux.Abi;

namespace Hull.Linux;

/// <summary>
/// What the kernel answered. It is always the inner exception of the <see cref="HullException"/> that says what
/// was being done, so that callers who must distinguish (is it ENOENT or ENOTDIR?) can.
/// </summary>
public sealed class ErrnoException(Errno errno) : Exception(ErrnoText.Describe(errno))
{
    public Errno Errno { get; } = errno;
}

/// <summary>Error numbers in exceptions.</summary>
public static class ErrnoExtensions
{
    extension(HullException exception)
    {
        /// <summary>The kernel's error number behind this exception, or <see cref="Errno.None"/>.</summary>
        public Errno Errno => exception.InnerException is ErrnoException cause ? cause.Errno : Errno.None;
    }
}
