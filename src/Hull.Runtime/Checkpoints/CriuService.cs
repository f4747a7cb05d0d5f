using Hull.Core;
using Hull.Linux;
using Hull.Linux.Abi;
using Hull.Linux.Processes;
using Hull.Linux.Syscalls;

namespace Hull.Runtime.Checkpoints;

/// <summary>One criu that serves one request ("criu swrk", criu(8)) over a socket, and tells of its steps meanwhile.</summary>
internal sealed class CriuService : IDisposable
{
    /// <summary>Number of the first descriptor that is handed to it besides the socket.</summary>
    internal const int FirstExtra = FirstDescriptor + 1;

    private const int FirstDescriptor = 3;
    /// <summary>Where criu looks what a kernel can, before it does anything.</summary>
    private static readonly string[] s_kernelSources = ["criu/vdso.c", "criu/kerndat.c", "kernel features detection"];
    private const int LongestMessage = 64 << 10;
    private readonly SafeFd _socket;
    private readonly ChildProcess _process;

    private CriuService(SafeFd socket, ChildProcess process)
    {
        _socket = socket;
        _process = process;
    }

    internal int Pid => _process.Pid;

    /// <param name="program">The program's name or path.</param>
    /// <param name="streams">Its stdin, stdout and stderr.</param>
    /// <param name="extra">Further descriptors, from <see cref="FirstExtra"/>.</param>
    internal static CriuService Start(string program, (SafeFd? In, SafeFd? Out, SafeFd? Error) streams, IReadOnlyList<SafeFd> extra)
    {
        var (ours, theirs) = SocketCalls.CreatePair(Sockets.SOCK_SEQPACKET);
        try
        {
            using (theirs)
            {
                return new CriuService(ours, ChildProcess.Start(new ChildProcessOptions(program, "swrk", FirstDescriptor.ToString())
                {
                    Stdin = streams.In, Stdout = streams.Out, Stderr = streams.Error, ExtraDescriptors = [theirs, .. extra],
                }));
            }
        }
        catch (HullException error) when (error.Kind is ErrorKind.CommandNotFound)
        {
            ours.Dispose();
            throw HullException.Unsupported($"saving and continuing containers needs criu, and {program} is not installed: install the package criu, or name it with --criu");
        }
        catch
        {
            ours.Dispose();
            throw;
        }
    }

    /// <summary>Whether a criu is installed.</summary>
    internal static bool IsInstalled(string program = "criu") => ProgramPath.Find(program) is not null;

    /// <summary>
    /// Has the request done. <paramref name="step"/> is called at each announced step, with the descriptors that came with it;
    /// what it throws ends criu, which takes back what it did.
    /// </summary>
    internal CriuResponse Call(CriuRequest request, Action<CriuResponse, List<SafeFd>> step, Func<string> lastWords)
    {
        Check.Result(SocketCalls.Send(_socket.Value, request.ToArray()), $"send criu its request");
        var buffer = new byte[LongestMessage];
        while (true)
        {
            var descriptors = new List<SafeFd>();
            try
            {
                var count = SocketCalls.Receive(_socket.Value, buffer, descriptors);
                if (count == -(nint)Errno.EINTR) continue;
                if (count == 0 || count == -(nint)Errno.ECONNRESET) throw Failure(request, "it ended without an answer", lastWords());
                Check.Result(count, $"receive criu's answer");
                var response = CriuResponse.Parse(buffer.AsSpan(0, (int)count));
                if (response.Type != CriuRequestType.Notify)
                {
                    if (response.Success) return response;
                    throw Failure(request, response.Message.Length > 0 ? response.Message : $"error {response.ErrorNumber}", lastWords());
                }

                step(response, descriptors);
                Check.Result(SocketCalls.Send(_socket.Value, CriuRequest.Acknowledgement()), $"answer criu");
            }
            finally
            {
                foreach (var descriptor in descriptors) descriptor.Dispose();
            }
        }
    }

    /// <summary>Waits until criu has ended; it serves one request and ends.</summary>
    internal void Complete()
    {
        _socket.Dispose();
        _process.Wait();
    }

    public void Dispose()
    {
        _socket.Dispose();
        if (_process.TryWait() is null)
        {
            _process.Kill(9);
            _process.Wait();
        }

        _process.Dispose();
    }

    /// <summary>A criu that does not start its work at all is one that does not work on this kernel.</summary>
    private static HullException Failure(CriuRequest request, string reason, string lastWords)
    {
        var verb = request.Type == CriuRequestType.Restore ? "continue" : "save";
        var detail = lastWords.Length > 0 ? lastWords : reason;
        return s_kernelSources.Any(source => lastWords.Contains(source, StringComparison.Ordinal))
            ? HullException.Unsupported($"criu does not work with this kernel: {detail}")
            : HullException.Internal($"criu could not {verb} the container: {detail}");
    }
}
