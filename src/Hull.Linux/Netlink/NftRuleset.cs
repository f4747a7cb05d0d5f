using System.Text;
using Hull.Core;
using Hull.Linux.Processes;

namespace Hull.Linux.Netlink;

/// <summary>
/// Commits rule sets written in nft(8)'s language, by the nft program: for the rare change of rules. Elements of sets go
/// through <see cref="NftSocket"/>, in this process. libnftables is not loaded here, because it waits with select(2), which
/// ends the process where a descriptor is numbered 1024 or higher: an engine has that many.
/// </summary>
public static class NftRuleset
{
    /// <summary>
    /// Commits <paramref name="commands"/> as one transaction in the network namespace of the calling thread; throws
    /// with the compiler's words, with nothing changed.
    /// </summary>
    public static void Commit(string commands)
    {
        ProcessResult result;
        try
        {
            result = ChildProcess.Run(new ChildProcessOptions("nft", "-f", "-"), Encoding.UTF8.GetBytes(commands), TimeSpan.FromSeconds(30));
        }
        catch (HullException error) when (error.Kind is ErrorKind.CommandNotFound or ErrorKind.NotFound)
        {
            throw new HullException(ErrorKind.Unsupported, "the firewall needs the program nft: install the package nftables", error);
        }

        if (!result.Status.Succeeded)
            throw HullException.Internal("cannot change the firewall: " + result.ErrorText.ReplaceLineEndings(" ").Trim());
    }
}
