using Hull.Core;

namespace Hull.Api.Http;

/// <summary>The one gate between a parsed request and what answers it. What it does not understand it refuses.</summary>
internal static class Authorization
{
    public static void Check(ApiRequest request, Route route)
    {
        var access = request.Listener?.Access;
        if (access is null) throw new HullException(ErrorKind.Unauthenticated, "this address lets nobody in without a client certificate or a token");
        request.Access = access;
        if (route.Changes && access.ReadOnly)
            throw new HullException(ErrorKind.PermissionDenied, $"'{access.Name}' may only read, and {request.Method} /{route.Pattern} changes something");
    }
}
