using Hull.Api.Http;
using Hull.Core;
using Hull.Linux;
using Hull.Protocol;
using Microsoft.AspNetCore.Http;

namespace Hull.Api.Docker;

/// <summary>Failures as Docker's clients expect them: a status and <c>{"message": …}</c>.</summary>
internal static class ErrorAnswers
{
    public static async Task WriteAsync(ApiRequest request, HullException failure)
    {
        var status = ErrorMapping.ToHttpStatus(KindOf(failure));
        request.Response.Clear();
        Headers(request);
        if (status == 304 || request.Method == "HEAD")
        {
            request.Status(status);
            return;
        }

        await request.WriteJsonAsync(new ErrorAnswer { Message = Message(failure) }, DockerJson.Wire.ErrorAnswer, status).ConfigureAwait(false);
    }

    /// <summary>
    /// A file that the engine or its kernel misses is not what the request addressed: clients take "not found" for that, and for
    /// a missing image when they create a container.
    /// </summary>
    private static ErrorKind KindOf(HullException failure) =>
        failure is { Kind: ErrorKind.NotFound, InnerException: ErrnoException } ? ErrorKind.Internal : failure.Kind;

    /// <summary>The message, with the words by which clients choose their exit code: 127 and 126 as a shell has them.</summary>
    public static string Message(HullException failure) => failure.Kind switch
    {
        ErrorKind.CommandNotFound when !failure.FullMessage.Contains("executable file not found", StringComparison.Ordinal)
            && !failure.FullMessage.Contains("no such file or directory", StringComparison.Ordinal) => failure.FullMessage + ": executable file not found in $PATH",
        ErrorKind.CommandNotExecutable when !failure.FullMessage.Contains("permission denied", StringComparison.Ordinal) => failure.FullMessage + ": permission denied",
        _ => failure.FullMessage,
    };

    /// <summary>What every answer carries, whatever it says.</summary>
    public static void Headers(ApiRequest request)
    {
        var headers = request.Response.Headers;
        headers["Api-Version"] = ApiVersion.Newest.ToString();
        headers["Docker-Experimental"] = "false";
        headers["Ostype"] = "linux";
        headers.Server = EngineVersion.ServerHeader;
    }
}
