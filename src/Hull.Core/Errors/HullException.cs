namespace Hull.Core;

/// <summary>
/// The one error type that crosses a boundary inside Hull. The message is one line, lower case, without a
/// full stop; it names the thing it speaks of and, where there is one, the way out.
/// </summary>
public sealed class HullException(ErrorKind kind, string message, Exception? inner = null)
    : Exception(message, inner)
{
    /// <summary>Which of the closed set of failures this is.</summary>
    public ErrorKind Kind { get; } = kind;

    /// <summary>The message with the messages of its causes appended, outermost first, without repeats.</summary>
    public string FullMessage
    {
        get
        {
            var text = Message;
            for (var cause = InnerException; cause is not null; cause = cause.InnerException)
            {
                if (!text.Contains(cause.Message, StringComparison.Ordinal)) text += ": " + cause.Message;
            }

            return text.ReplaceLineEndings(" ");
        }
    }

    public static HullException Invalid(string message, Exception? inner = null) =>
        new(ErrorKind.InvalidArgument, message, inner);

    public static HullException NotFound(string message, Exception? inner = null) =>
        new(ErrorKind.NotFound, message, inner);

    public static HullException Exists(string message) => new(ErrorKind.AlreadyExists, message);

    public static HullException Conflict(string message) => new(ErrorKind.Conflict, message);

    public static HullException Unsupported(string message) => new(ErrorKind.Unsupported, message);

    public static HullException Corrupted(string message, Exception? inner = null) =>
        new(ErrorKind.DataCorrupted, message, inner);

    public static HullException Internal(string message, Exception? inner = null) =>
        new(ErrorKind.Internal, message, inner);
}
