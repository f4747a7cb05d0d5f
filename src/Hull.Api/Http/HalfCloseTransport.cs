using Microsoft.AspNetCore.Connections;

namespace Hull.Api.Http;

/// <summary>
/// Lets a connection outlive the end of what the client sends. Kestrel takes a client's FIN for its departure and
/// aborts the response; a client of attach or exec that has reached the end of its standard input half-closes and
/// still waits for output. The notification is therefore kept from Kestrel and given to the requests, each of which
/// decides what an end of input means to it (<see cref="ApiRequest.Disconnected"/>).
/// </summary>
internal static class HalfCloseTransport
{
    public static ConnectionDelegate Wrap(ConnectionDelegate next) => async connection =>
    {
        connection.Features.Set(new ConnectionInput(connection.ConnectionClosed));
        connection.ConnectionClosed = CancellationToken.None;
        connection.Transport = new GatedTransport(connection.Transport);
        await next(connection).ConfigureAwait(false);
    };
}

/// <summary>The sending half of the client, as a feature of the connection.</summary>
/// <param name="Ended">Cancelled when the client closed the connection or its sending half.</param>
internal sealed record ConnectionInput(CancellationToken Ended);
