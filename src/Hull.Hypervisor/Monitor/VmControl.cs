using System.Text.Json;
using Hull.Agent.Protocol;
using Hull.Hypervisor.Templates;
using Hull.Linux;
using Hull.Linux.Syscalls;

namespace Hull.Hypervisor.Monitor;

/// <summary>
/// What an engine asks the monitor process of a machine directly, beside the commands that any OCI runtime has. Each
/// request has a connection of its own.
/// </summary>
/// <param name="directory">The machine's directory below the runtime's root.</param>
public sealed class VmControl(string directory)
{
    /// <summary>Name of the state of its devices in the directory that a machine is saved or held in.</summary>
    public const string StateName = "state";

    /// <summary>Name of the copy of its writable disk there.</summary>
    public const string DiskName = "writable.img";

    public Task<StatisticsReply> StatisticsAsync() => AskAsync(MonitorRequest.Statistics, null, StatisticsReply.Read);

    public Task<IReadOnlyList<GuestProcess>> ProcessesAsync() =>
        AskAsync<IReadOnlyList<GuestProcess>>(MonitorRequest.Processes, null, reader => reader.List(GuestProcess.Read));

    /// <param name="memoryBytes">0 for no limit, -1 to leave it.</param>
    /// <param name="processes">0 for no limit, -1 to leave it.</param>
    public Task UpdateAsync(long memoryBytes, long processes) =>
        AskAsync(MonitorRequest.Update, writer => writer.I64(memoryBytes).I64(processes), _ => true);

    /// <summary>Asks the guest to do with so many bytes of its memory; -1 gives it all, 0 asks for nothing. Answers what it has.</summary>
    public Task<long> BalloonAsync(long bytes) => AskAsync(MonitorRequest.Balloon, writer => writer.I64(bytes), reader => reader.I64());

    /// <summary>
    /// Saves the machine as it is now: RAM into a memory file of its size, devices and disk into a directory. Answers the id
    /// that its container has in the guest, and how long it stood still.
    /// </summary>
    public Task<(string Container, TimeSpan Pause)> SaveAsync(string target, SafeFd memory) => Task.Run(() =>
    {
        using var connection = MonitorConnection.Open(directory);
        var answer = connection.Request(new WireWriter().U8((byte)MonitorRequest.Save).Text(target), memory.Value);
        return (answer.Text(), TimeSpan.FromMicroseconds(answer.I64()));
    });

    /// <summary>
    /// Has a twin of the machine made that stands still as it is now, with a copy of its disk in a directory. Fails with
    /// <see cref="ErrorKind.Unsupported"/> where it can only be saved.
    /// </summary>
    public Task<MachineHold> HoldAsync(string target) => Task.Run(() =>
    {
        var connection = MonitorConnection.Open(directory);
        try
        {
            var answer = connection.Request(new WireWriter().U8((byte)MonitorRequest.Hold).Text(target));
            return new MachineHold(connection, answer.Text(), TimeSpan.FromMicroseconds(answer.I64()), MemoryFile.Open(answer.Text()),
                JsonSerializer.Deserialize(answer.Bytes(), LiveTemplateJson.Default.LiveTemplate)!);
        }
        catch
        {
            connection.Dispose();
            throw;
        }
    });

    /// <summary>
    /// Copies files by <see cref="ArchiveVerbs"/>: bytes go in from a stream, or come out to one, and an error of the guest
    /// is thrown as it happened there.
    /// </summary>
    public async Task ArchiveAsync(string verb, string path, Stream? input, Stream? output, CancellationToken cancellationToken)
    {
        using var connection = MonitorConnection.Open(directory);
        var (inRead, inWrite) = FileCalls.Pipe();
        var (outRead, outWrite) = FileCalls.Pipe();
        var (errorRead, errorWrite) = FileCalls.Pipe();
        Task feeding, draining;
        var errors = new MemoryStream();
        Task complaining;
        using (inRead)
        using (outWrite)
        using (errorWrite)
        {
            connection.Send(new WireWriter().U8((byte)MonitorRequest.Archive).Text(verb).Text(path), inRead.Value, outWrite.Value, errorWrite.Value);
        }

        feeding = FeedAsync(input, inWrite, cancellationToken);
        draining = DrainAsync(outRead, output, cancellationToken);
        complaining = DrainAsync(errorRead, errors, CancellationToken.None);
        await using var _ = cancellationToken.Register(connection.Dispose).ConfigureAwait(false);
        var answer = await Task.Run(() => connection.Receive([]), CancellationToken.None).ConfigureAwait(false)
            ?? throw new HullException(ErrorKind.Unavailable, "the machine is gone");
        if ((MonitorReply)answer.U8() == MonitorReply.Failed) throw new HullException((ErrorKind)answer.U32(), answer.Text());
        await Task.WhenAll(draining, complaining).ConfigureAwait(false);
        if (answer.U32() == 0)
        {
            await feeding.ConfigureAwait(false);
            return;
        }

        var complaint = new WireReader(errors.ToArray());
        throw new HullException((ErrorKind)complaint.U32(), complaint.Text());
    }

    private static async Task FeedAsync(Stream? input, SafeFd target, CancellationToken cancellationToken)
    {
        using (target)
        {
            if (input is null) return;
            var stream = target.Duplicate().ToStream(FileAccess.Write);
            await using (stream.ConfigureAwait(false))
            {
                try
                {
                    await input.CopyToAsync(stream, cancellationToken).ConfigureAwait(false);
                }
                catch (IOException)
                {
                    // The other side has seen enough; whether that was an error it says itself.
                }
            }
        }
    }

    private static async Task DrainAsync(SafeFd source, Stream? output, CancellationToken cancellationToken)
    {
        using (source)
        {
            var stream = source.Duplicate().ToStream(FileAccess.Read);
            await using (stream.ConfigureAwait(false)) await stream.CopyToAsync(output ?? Stream.Null, cancellationToken).ConfigureAwait(false);
        }
    }

    private Task<T> AskAsync<T>(MonitorRequest request, Func<WireWriter, WireWriter>? write, Func<WireReader, T> read) => Task.Run(() =>
    {
        using var connection = MonitorConnection.Open(directory);
        var message = new WireWriter().U8((byte)request);
        return read(connection.Request(write?.Invoke(message) ?? message));
    });
}

/// <summary>A machine's twin that stands still until this is disposed of.</summary>
public sealed class MachineHold : IDisposable
{
    private readonly MonitorConnection _connection;

    internal MachineHold(MonitorConnection connection, string container, TimeSpan pause, MemoryFile memory, LiveTemplate live) =>
        (_connection, Container, Pause, Memory, Live) = (connection, container, pause, memory, live);

    /// <summary>Id of its container in the guest.</summary>
    public string Container { get; }

    /// <summary>How long the machine stood still for it.</summary>
    public TimeSpan Pause { get; }

    /// <summary>The memory of the template that the machine was made of. It goes to the caller.</summary>
    public MemoryFile Memory { get; }

    public LiveTemplate Live { get; }

    public void Dispose() => _connection.Dispose();
}
