using Hull.Agent.Protocol;
using Hull.Core;
using Hull.Linux;
using Hull.Linux.Abi;
using Hull.Linux.Archives;
using Hull.Linux.Files;
using Hull.Linux.Syscalls;
using Hull.Linux.Virtualization;

namespace Hull.Agent.Guest;

/// <summary>
/// The process that copies files: this program, run again with a container's root, so that the agent's loop waits for no disk.
/// </summary>
internal static class GuestArchive
{
    public const string Argument = "archive";

    /// <param name="arguments">Process id of the container's init, verb, path.</param>
    public static int Run(IReadOnlyList<string> arguments)
    {
        try
        {
            var (process, verb, path) = (arguments[0], arguments[1], arguments[2]);
            using var root = Check.Descriptor(
                FileCalls.OpenAt(Fcntl.AT_FDCWD, $"/proc/{process}/root", Fcntl.O_PATH | Fcntl.O_DIRECTORY), $"open the root of the container");
            Copy(root, verb, path);
            return 0;
        }
        catch (HullException failure)
        {
            SafeFd.Borrow(2).WriteAll(new WireWriter().U32((uint)failure.Kind).Text(failure.FullMessage).Written.Span, "the error");
            return 1;
        }
    }

    private static void Copy(SafeFd root, string verb, string path)
    {
        var flags = verb.Split('+');
        switch (flags[0])
        {
            case ArchiveVerbs.Stat:
                var found = ArchiveReader.Stat(root.Value, path);
                SafeFd.Borrow(1).WriteAll(new WireWriter().Text(found.Name).I64(found.Size).U32(found.Mode)
                    .I64(found.ModifiedAt.UtcTicks).Text(found.LinkTarget).Written.Span, "the answer");
                break;
            case ArchiveVerbs.Read or ArchiveVerbs.ReadTree:
                using (var output = SafeFd.Borrow(1).Duplicate().ToStream(FileAccess.Write))
                {
                    if (flags[0] == ArchiveVerbs.Read) ArchiveReader.Write(root.Value, path, output, CancellationToken.None);
                    else ArchiveReader.WriteTree(root.Value, output, CancellationToken.None);
                }

                break;
            case ArchiveVerbs.Write:
                using (var input = SafeFd.Borrow(0).Duplicate().ToStream(FileAccess.Read))
                {
                    var request = new ExtractRequest(path, verb.Contains(ArchiveVerbs.NoOverwriteSuffix), verb.Contains(ArchiveVerbs.OwnersSuffix));
                    ArchiveWriter.Extract(root.Value, request, input, CancellationToken.None);
                }

                // A machine that was made for this alone is switched off next.
                GuestCalls.Sync();
                break;
            default:
                throw HullException.Unsupported($"the guest agent cannot '{verb}'");
        }
    }
}
