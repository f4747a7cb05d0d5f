using System.IO.Pipelines;
using System.Net.Security;
using System.Security.Authentication;
using System.Security.Cryptography.X509Certificates;
using Microsoft.AspNetCore.Connections;
using Microsoft.AspNetCore.Http.Features;

namespace Hull.Api.Http;

/// <summary>
/// Puts TLS between the socket and the server. Kestrel has this itself, but only for servers that are made by its host.
/// A connection whose handshake fails ends without a byte of HTTP having been read or sent.
/// </summary>
internal static class TlsTransport
{
    private static readonly TimeSpan HandshakeTimeout = TimeSpan.FromSeconds(10);

    public static Func<ConnectionDelegate, ConnectionDelegate> Wrap(SslServerAuthenticationOptions options) => next => async connection =>
    {
        var plain = connection.Transport;
        var encrypted = new SslStream(new DuplexStream(plain), leaveInnerStreamOpen: false);
        await using (encrypted.ConfigureAwait(false))
        {
            if (!await ShakeHandsAsync(encrypted, options, connection.ConnectionClosed).ConfigureAwait(false)) return;
            connection.Features.Set<ITlsConnectionFeature>(new TlsConnectionFeature { ClientCertificate = encrypted.RemoteCertificate as X509Certificate2 });
            var pipe = new StreamPipe(encrypted);
            connection.Transport = pipe;
            try
            {
                await next(connection).ConfigureAwait(false);
            }
            finally
            {
                await pipe.CompleteAsync().ConfigureAwait(false);
                await SayGoodbyeAsync(encrypted).ConfigureAwait(false);
                connection.Transport = plain;
            }
        }
    };

    private static async Task<bool> ShakeHandsAsync(SslStream stream, SslServerAuthenticationOptions options, CancellationToken closed)
    {
        using var patience = CancellationTokenSource.CreateLinkedTokenSource(closed);
        patience.CancelAfter(HandshakeTimeout);
        try
        {
            await stream.AuthenticateAsServerAsync(options, patience.Token).ConfigureAwait(false);
            return true;
        }
        catch (Exception e) when (e is AuthenticationException or IOException or OperationCanceledException or ConnectionAbortedException)
        {
            return false;
        }
    }

    /// <summary>Without the closing alert a client cannot tell the end from a connection that was cut (RFC 8446, 6.1).</summary>
    private static async Task SayGoodbyeAsync(SslStream stream)
    {
        try
        {
            await stream.ShutdownAsync().ConfigureAwait(false);
        }
        catch (Exception e) when (e is IOException or InvalidOperationException or OperationCanceledException)
        {
            // The client is gone.
        }
    }

    private sealed class StreamPipe(Stream stream) : IDuplexPipe
    {
        public PipeReader Input { get; } = PipeReader.Create(stream, new StreamPipeReaderOptions(leaveOpen: true));

        public PipeWriter Output { get; } = PipeWriter.Create(stream, new StreamPipeWriterOptions(leaveOpen: true));

        public async Task CompleteAsync()
        {
            try
            {
                await Input.CompleteAsync().ConfigureAwait(false);
                await Output.CompleteAsync().ConfigureAwait(false);
            }
            catch (IOException)
            {
                // What was not sent has nobody left to be sent to.
            }
        }
    }
}
