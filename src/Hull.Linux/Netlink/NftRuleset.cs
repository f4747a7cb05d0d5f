using System.Runtime.InteropServices;
using Hull.Core;

namespace Hull.Linux.Netlink;

/// <summary>
/// Compiles and commits rule sets written in nft(8)'s language through libnftables(3), in this process: for the rare
/// change of rules. Elements of sets go through <see cref="NftSocket"/>, which needs no parser.
/// </summary>
public static partial class NftRuleset
{
    private const string Library = "libnftables.so.1";
    private static readonly Lock Gate = new();

    /// <summary>
    /// Commits <paramref name="commands"/> as one transaction in the network namespace of the calling thread; throws
    /// with the compiler's words, with nothing changed.
    /// </summary>
    public static void Commit(string commands)
    {
        // The parser of libnftables keeps state in globals.
        lock (Gate)
        {
            nint context;
            try
            {
                context = nft_ctx_new(0);
            }
            catch (DllNotFoundException error)
            {
                throw new HullException(ErrorKind.Unsupported, "the firewall needs libnftables: install the package nftables", error);
            }

            if (context == 0) throw HullException.Internal("libnftables cannot start");
            try
            {
                if (nft_ctx_buffer_error(context) != 0) throw HullException.Internal("libnftables cannot keep its messages");
                if (nft_run_cmd_from_buffer(context, commands) == 0) return;
                var reason = Marshal.PtrToStringUTF8(nft_ctx_get_error_buffer(context)) ?? "";
                throw HullException.Internal("cannot change the firewall: " + reason.ReplaceLineEndings(" ").Trim());
            }
            finally
            {
                nft_ctx_free(context);
            }
        }
    }

    [LibraryImport(Library)]
    private static partial nint nft_ctx_new(uint flags);

    [LibraryImport(Library)]
    private static partial void nft_ctx_free(nint context);

    [LibraryImport(Library)]
    private static partial int nft_ctx_buffer_error(nint context);

    [LibraryImport(Library)]
    private static partial nint nft_ctx_get_error_buffer(nint context);

    [LibraryImport(Library, StringMarshalling = StringMarshalling.Utf8)]
    private static partial int nft_run_cmd_from_buffer(nint context, string commands);
}
