using System.Text;
using System.Text.Json;
using Hull.Core;
using Hull.Linux.Processes;

namespace Hull.Images.Distribution;

/// <summary>
/// A program <c>docker-credential-NAME</c> that keeps secrets (docker-credential-helpers' protocol): the registry goes
/// to its standard input, the secret comes back as JSON.
/// </summary>
internal static class CredentialHelper
{
    private const int MaximumOutput = 256 << 10;
    private const string TokenUser = "<token>";
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(60);

    /// <summary>The secret for a registry, or null where the helper has none.</summary>
    public static async Task<RegistryCredential?> GetAsync(string helper, string server, CancellationToken cancellation)
    {
        var result = await RunAsync(helper, "get", Encoding.UTF8.GetBytes(server), cancellation).ConfigureAwait(false);
        var said = Encoding.UTF8.GetString(result.Output).Trim();
        if (!result.Status.Succeeded)
        {
            // The protocol's words for having nothing, from both outputs of helpers old and new.
            if ((said + result.ErrorText).Contains("credentials not found", StringComparison.OrdinalIgnoreCase)) return null;
            throw Failure(helper, "get", result, said);
        }

        try
        {
            var answer = JsonSerializer.Deserialize(said, DistributionJson.Default.HelperCredential);
            if (answer?.Username is null || answer.Secret is null) throw HullException.Corrupted($"credential helper {helper} answers without name or secret");
            return answer.Username == TokenUser
                ? new RegistryCredential("", "", IdentityToken: answer.Secret)
                : new RegistryCredential(answer.Username, answer.Secret);
        }
        catch (JsonException)
        {
            // Not the cause: its text would repeat what was meant to stay secret.
            throw HullException.Corrupted($"credential helper {helper} answers with something that is not JSON");
        }
    }

    public static async Task StoreAsync(string helper, string server, RegistryCredential credential, CancellationToken cancellation)
    {
        var secret = new HelperCredential
        {
            ServerURL = server,
            Username = credential.IdentityToken is null ? credential.Username : TokenUser,
            Secret = credential.IdentityToken ?? credential.Password,
        };
        var input = JsonSerializer.SerializeToUtf8Bytes(secret, DistributionJson.Default.HelperCredential);
        var result = await RunAsync(helper, "store", input, cancellation).ConfigureAwait(false);
        if (!result.Status.Succeeded) throw Failure(helper, "store", result, result.OutputText);
    }

    public static async Task EraseAsync(string helper, string server, CancellationToken cancellation)
    {
        var result = await RunAsync(helper, "erase", Encoding.UTF8.GetBytes(server), cancellation).ConfigureAwait(false);
        if (!result.Status.Succeeded) throw Failure(helper, "erase", result, result.OutputText);
    }

    private static Task<ProcessResult> RunAsync(string helper, string action, byte[] input, CancellationToken cancellation)
    {
        // The name comes from a file: it must stay the name of one program on PATH.
        if (helper.Length is 0 or > 100 || !helper.All(c => char.IsAsciiLetterOrDigit(c) || c is '-' or '_' or '.'))
            throw HullException.Invalid($"invalid credential helper '{RegistryConnections.Clean(helper)}'");
        return ChildProcess.RunAsync(new ChildProcessOptions("docker-credential-" + helper, action), input, Patience, MaximumOutput, cancellation);
    }

    private static HullException Failure(string helper, string action, ProcessResult result, string said) =>
        new(ErrorKind.Unavailable, $"credential helper {helper} fails to {action}: {result.Status} {RegistryConnections.Clean(said.Length > 0 ? said : result.ErrorText)}");
}
