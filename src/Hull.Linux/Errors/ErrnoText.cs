using Hull.Core;
using Hull.Linux.Abi;

namespace Hull.Linux;

/// <summary>The only translation of error numbers: to <see cref="ErrorKind"/> and to the words people know.</summary>
public static class ErrnoText
{
    public static ErrorKind KindOf(Errno errno) => errno switch
    {
        Errno.ENOENT or Errno.ESRCH or Errno.ENXIO or Errno.ENODEV => ErrorKind.NotFound,
        Errno.EEXIST => ErrorKind.AlreadyExists,
        Errno.EPERM or Errno.EACCES or Errno.EROFS => ErrorKind.PermissionDenied,
        Errno.EINVAL or Errno.ENAMETOOLONG or Errno.ENOTDIR or Errno.EISDIR or Errno.ELOOP or Errno.EXDEV
            or Errno.ENOTTY or Errno.EBADF or Errno.E2BIG => ErrorKind.InvalidArgument,
        Errno.EBUSY or Errno.ENOTEMPTY or Errno.ETXTBSY or Errno.EADDRINUSE or Errno.EDEADLK => ErrorKind.Conflict,
        Errno.ENOSYS or Errno.EOPNOTSUPP or Errno.EAFNOSUPPORT or Errno.EPROTONOSUPPORT => ErrorKind.Unsupported,
        Errno.ENOSPC or Errno.EDQUOT or Errno.EMFILE or Errno.ENFILE or Errno.ENOMEM => ErrorKind.ResourceExhausted,
        Errno.EAGAIN or Errno.ECONNREFUSED or Errno.ECONNRESET or Errno.EPIPE or Errno.ENETUNREACH
            or Errno.EHOSTUNREACH => ErrorKind.Unavailable,
        Errno.ETIMEDOUT => ErrorKind.Timeout,
        _ => ErrorKind.Internal,
    };

    /// <summary>The words of strerror(3), in lower case; rare numbers by their name.</summary>
    public static string Describe(Errno errno) => errno switch
    {
        Errno.EPERM => "operation not permitted",
        Errno.ENOENT => "no such file or directory",
        Errno.ESRCH => "no such process",
        Errno.EINTR => "interrupted system call",
        Errno.EIO => "input/output error",
        Errno.ENXIO => "no such device or address",
        Errno.E2BIG => "argument list too long",
        Errno.ENOEXEC => "exec format error",
        Errno.EBADF => "bad file descriptor",
        Errno.ECHILD => "no child processes",
        Errno.EAGAIN => "resource temporarily unavailable",
        Errno.ENOMEM => "cannot allocate memory",
        Errno.EACCES => "permission denied",
        Errno.EBUSY => "device or resource busy",
        Errno.EEXIST => "file exists",
        Errno.EXDEV => "invalid cross-device link",
        Errno.ENODEV => "no such device",
        Errno.ENOTDIR => "not a directory",
        Errno.EISDIR => "is a directory",
        Errno.EINVAL => "invalid argument",
        Errno.ENFILE => "too many open files in system",
        Errno.EMFILE => "too many open files",
        Errno.ENOTTY => "inappropriate ioctl for device",
        Errno.ETXTBSY => "text file busy",
        Errno.EFBIG => "file too large",
        Errno.ENOSPC => "no space left on device",
        Errno.ESPIPE => "illegal seek",
        Errno.EROFS => "read-only file system",
        Errno.EMLINK => "too many links",
        Errno.EPIPE => "broken pipe",
        Errno.ERANGE => "numerical result out of range",
        Errno.EDEADLK => "resource deadlock avoided",
        Errno.ENAMETOOLONG => "file name too long",
        Errno.ENOSYS => "function not implemented",
        Errno.ENOTEMPTY => "directory not empty",
        Errno.ELOOP => "too many levels of symbolic links",
        Errno.ENODATA => "no data available",
        Errno.EOVERFLOW => "value too large for defined data type",
        Errno.ENOTSOCK => "socket operation on non-socket",
        Errno.EMSGSIZE => "message too long",
        Errno.EOPNOTSUPP => "operation not supported",
        Errno.EAFNOSUPPORT => "address family not supported by protocol",
        Errno.EADDRINUSE => "address already in use",
        Errno.EADDRNOTAVAIL => "cannot assign requested address",
        Errno.ENETUNREACH => "network is unreachable",
        Errno.ECONNRESET => "connection reset by peer",
        Errno.ENOTCONN => "transport endpoint is not connected",
        Errno.ETIMEDOUT => "connection timed out",
        Errno.ECONNREFUSED => "connection refused",
        Errno.EHOSTUNREACH => "no route to host",
        Errno.EINPROGRESS => "operation now in progress",
        Errno.ESTALE => "stale file handle",
        Errno.EDQUOT => "disk quota exceeded",
        _ => "error " + errno,
    };
}
