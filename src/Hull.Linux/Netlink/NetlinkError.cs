using System.Runtime.InteropServices;
using Hull.Core;

namespace Hull.Linux.Netlink;

/// <summary>Turns an error number of the network stack into the error that callers see.</summary>
public static class NetlinkError
{
    public const int EPERM = 1;
    public const int ENOENT = 2;
    public const int ESRCH = 3;
    public const int EINTR = 4;
    public const int ENXIO = 6;
    public const int EACCES = 13;
    public const int EBUSY = 16;
    public const int EEXIST = 17;
    public const int ENODEV = 19;
    public const int EINVAL = 22;
    public const int ENFILE = 23;
    public const int EMFILE = 24;
    public const int ENOSPC = 28;
    public const int ERANGE = 34;
    public const int EOPNOTSUPP = 95;
    public const int EADDRINUSE = 98;
    public const int EADDRNOTAVAIL = 99;
    public const int ENOBUFS = 105;
    public const int EAFNOSUPPORT = 97;
    public const int EPROTONOSUPPORT = 93;

    /// <summary>The exception for a failed call: what was tried, then the kernel's reason.</summary>
    public static HullException Create(int errno, string action, string? kernelMessage = null)
    {
        var reason = Marshal.GetPInvokeErrorMessage(errno);
        reason = reason.Length > 0 ? char.ToLowerInvariant(reason[0]) + reason[1..] : $"error {errno}";
        var detail = string.IsNullOrEmpty(kernelMessage) ? reason : $"{reason} ({kernelMessage})";
        return new HullException(KindOf(errno), $"cannot {action}: {detail}");
    }

    /// <summary>The exception for the calling thread's last failed P/Invoke.</summary>
    public static HullException Last(string action) => Create(Marshal.GetLastPInvokeError(), action);

    private static ErrorKind KindOf(int errno) => errno switch
    {
        EPERM or EACCES => ErrorKind.PermissionDenied,
        ENOENT or ENODEV or ESRCH or ENXIO => ErrorKind.NotFound,
        EEXIST => ErrorKind.AlreadyExists,
        EBUSY or EADDRINUSE => ErrorKind.Conflict,
        EINVAL or ERANGE or EADDRNOTAVAIL => ErrorKind.InvalidArgument,
        EOPNOTSUPP or EAFNOSUPPORT or EPROTONOSUPPORT => ErrorKind.Unsupported,
        ENFILE or EMFILE or ENOSPC or ENOBUFS => ErrorKind.ResourceExhausted,
        _ => ErrorKind.Internal,
    };
}
