namespace Hull.Core;

/// <summary>The only table from <see cref="ErrorKind"/> to an HTTP status and to a process exit code.</summary>
public static class ErrorMapping
{
    /// <summary>HTTP status as RFC 9110 and the Docker Engine API use it.</summary>
    public static int ToHttpStatus(ErrorKind kind) => kind switch
    {
        ErrorKind.InvalidArgument or ErrorKind.CommandNotFound or ErrorKind.CommandNotExecutable => 400,
        ErrorKind.Unauthenticated => 401,
        ErrorKind.PermissionDenied => 403,
        ErrorKind.NotFound => 404,
        ErrorKind.AlreadyExists or ErrorKind.Conflict => 409,
        ErrorKind.NotModified => 304,
        ErrorKind.Cancelled => 499,
        ErrorKind.Unsupported => 501,
        ErrorKind.Unavailable => 503,
        ErrorKind.Timeout => 504,
        ErrorKind.ResourceExhausted => 507,
        _ => 500,
    };

    /// <summary>Exit code of Hull's own programs; 126 and 127 are the shell's (POSIX.1-2024, XCU 2.8.2).</summary>
    public static int ToExitCode(ErrorKind kind) => kind switch
    {
        ErrorKind.CommandNotExecutable => 126,
        ErrorKind.CommandNotFound => 127,
        ErrorKind.Cancelled => 130,
        _ => 1,
    };

    /// <summary>The kind a peer meant by an HTTP status; the inverse of <see cref="ToHttpStatus"/>.</summary>
    public static ErrorKind FromHttpStatus(int status) => status switch
    {
        304 => ErrorKind.NotModified,
        400 => ErrorKind.InvalidArgument,
        401 => ErrorKind.Unauthenticated,
        403 => ErrorKind.PermissionDenied,
        404 => ErrorKind.NotFound,
        409 => ErrorKind.Conflict,
        499 => ErrorKind.Cancelled,
        501 => ErrorKind.Unsupported,
        503 => ErrorKind.Unavailable,
        408 or 504 => ErrorKind.Timeout,
        429 or 507 => ErrorKind.ResourceExhausted,
        _ => ErrorKind.Internal,
    };
}
