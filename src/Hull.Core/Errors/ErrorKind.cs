namespace Hull.Core;

/// <summary>
/// The closed set of ways an operation can fail. Every wire edge and every exit code is derived from it
/// in <see cref="ErrorMapping"/>, once.
/// </summary>
public enum ErrorKind
{
    /// <summary>A defect of Hull itself, or of something that answered against its own specification.</summary>
    Internal,

    /// <summary>The request is malformed or contradicts itself; repeating it cannot succeed.</summary>
    InvalidArgument,

    /// <summary>The named object does not exist.</summary>
    NotFound,

    /// <summary>An object of that name or id exists already.</summary>
    AlreadyExists,

    /// <summary>The object is in a state, or in use by something, that excludes the operation.</summary>
    Conflict,

    /// <summary>The object is already in the state that was asked for; nothing was done.</summary>
    NotModified,

    /// <summary>This build, kernel or driver cannot do it at all; the message says why.</summary>
    Unsupported,

    /// <summary>The caller is known and may not do this.</summary>
    PermissionDenied,

    /// <summary>The caller did not prove who they are.</summary>
    Unauthenticated,

    /// <summary>A quota, a disk, a table of the kernel or a reservation is full.</summary>
    ResourceExhausted,

    /// <summary>A service that is needed does not answer; trying again may succeed.</summary>
    Unavailable,

    /// <summary>It took longer than it was allowed to.</summary>
    Timeout,

    /// <summary>The caller gave up.</summary>
    Cancelled,

    /// <summary>Stored or received bytes are not what their digest, length or format says.</summary>
    DataCorrupted,

    /// <summary>The program to run was not found (exit code 127, as a shell and runc have it).</summary>
    CommandNotFound,

    /// <summary>The program to run is not executable (exit code 126).</summary>
    CommandNotExecutable,
}
