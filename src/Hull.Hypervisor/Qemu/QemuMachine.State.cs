using System.Net.Sockets;
using Hull.Hypervisor.Qmp;
using Hull.Linux;
using Hull.Linux.Abi;
using Hull.Linux.Syscalls;

namespace Hull.Hypervisor.Qemu;

public sealed partial class QemuMachine
{
    /// <summary>Writing RAM to a slow disk takes as long as it takes; a stuck monitor is found by its other answers.</summary>
    private static readonly TimeSpan StateTimeout = TimeSpan.FromMinutes(10);

    private const string StateDescriptor = "state";

    /// <summary>
    /// The state goes through a socket and is written by this process: the monitor, which may run in a jail, needs no right to
    /// create files.
    /// </summary>
    public Task SaveStateAsync(string path, CancellationToken cancellationToken = default) => ExclusiveAsync(async () =>
    {
        await PrepareMigrationAsync(cancellationToken).ConfigureAwait(false);
        await using var input = await ConnectStateAsync(cancellationToken).ConfigureAwait(false);
        var receiving = ReceiveStateAsync(input, path, cancellationToken);
        await Qmp.ExecuteAsync(QmpCommands.Migrate("fd:" + StateDescriptor), cancellationToken: cancellationToken).ConfigureAwait(false);
        await WaitForMigrationAsync("save the state", cancellationToken).ConfigureAwait(false);
        await receiving.ConfigureAwait(false);
    }, cancellationToken);

    public Task LoadStateAsync(string path, CancellationToken cancellationToken = default) => ExclusiveAsync(async () =>
    {
        await PrepareMigrationAsync(cancellationToken).ConfigureAwait(false);
        await using var state = new FileStream(path, FileMode.Open, FileAccess.Read, FileShare.Read, 0);
        try
        {
            await SendStateAsync(state, cancellationToken).ConfigureAwait(false);
        }
        catch (Exception cause) when (cause is IOException or HullException { Kind: ErrorKind.Unavailable })
        {
            // A monitor that cannot make sense of a state ends; why, it has written to its log.
            throw new HullException(ErrorKind.Internal, $"qemu ended while it loaded the state of machine {Config.Id}: {QemuHypervisor.LastLine(_logPath)}", cause);
        }
    }, cancellationToken);

    /// <summary>Loads a state from an inherited descriptor, by the number it has in the monitor process.</summary>
    /// <param name="devicesOnly">It was saved by <see cref="SaveDevicesAsync"/>, which knows no capabilities.</param>
    public Task LoadStateAsync(int descriptor, bool devicesOnly = false, CancellationToken cancellationToken = default) => ExclusiveAsync(async () =>
    {
        if (!devicesOnly) await PrepareMigrationAsync(cancellationToken).ConfigureAwait(false);
        await LoadFromAsync($"fd:{descriptor}", cancellationToken).ConfigureAwait(false);
    }, cancellationToken);

    /// <summary>
    /// Writes the state of the devices of a paused machine whose RAM is a private mapping, which a migration would not leave
    /// out. What <see cref="LoadStateAsync(int,bool,CancellationToken)"/> loads must begin with the section that names the machine type, which
    /// this way of saving omits: it is taken from the state that the machine itself began with.
    /// </summary>
    public Task SaveDevicesAsync(string path, ReadOnlyMemory<byte> beginning, CancellationToken cancellationToken = default) => ExclusiveAsync(async () =>
    {
        if (_sharesFiles || Config.SharedDirectories.Count > 0)
            throw HullException.Unsupported($"machine {Config.Id} shares files of the host, so its state cannot be saved");
        const long set = 1000; // far from the descriptors it was started with
        var incoming = path + ".devices";
        using (var file = Check.Descriptor(FileCalls.OpenAt(Fcntl.AT_FDCWD, incoming, Fcntl.O_WRONLY | Fcntl.O_CREAT | Fcntl.O_TRUNC, 0x180), $"create {incoming}"))
            await Qmp.ExecuteAsync(QmpCommands.AddFd(set), file, cancellationToken: cancellationToken).ConfigureAwait(false);
        try
        {
            await Qmp.ExecuteAsync(QmpCommands.SaveDevices($"/dev/fdset/{set}"), StateTimeout, cancellationToken).ConfigureAwait(false);
        }
        finally
        {
            await Qmp.ExecuteAsync(QmpCommands.RemoveFd(set), cancellationToken: CancellationToken.None).ConfigureAwait(false);
        }

        var devices = await File.ReadAllBytesAsync(incoming, cancellationToken).ConfigureAwait(false);
        await File.WriteAllBytesAsync(path, [.. devices.AsSpan(0, StreamHeader), .. beginning.Span, .. devices.AsSpan(StreamHeader)], cancellationToken).ConfigureAwait(false);
        File.Delete(incoming);
    }, cancellationToken);

    /// <summary>Magic number and version (docs/devel/migration.rst, "Stream structure").</summary>
    private const int StreamHeader = 8;

    /// <summary>A state that names its machine type and has no devices.</summary>
    internal static byte[] StateOf(ReadOnlySpan<byte> configuration) => [.. new byte[StreamHeader], .. configuration, 0];

    /// <summary>The section of a saved state that names the machine type: type 7, a length and the name, without the subsections that may follow.</summary>
    internal static byte[] ConfigurationSection(string path)
    {
        const byte configuration = 7;
        var state = new byte[256];
        using var file = File.OpenHandle(path);
        var read = RandomAccess.Read(file, state, 0);
        var length = System.Buffers.Binary.BinaryPrimitives.ReadInt32BigEndian(state.AsSpan(StreamHeader + 1));
        return state[StreamHeader] == configuration && length > 0 && length < read - StreamHeader - 5
            ? state[StreamHeader..(StreamHeader + 5 + length)]
            : throw HullException.Corrupted($"the state in {path} does not name its machine type");
    }

    private async Task SendStateAsync(FileStream state, CancellationToken cancellationToken)
    {
        await using (var output = await ConnectStateAsync(cancellationToken).ConfigureAwait(false))
        {
            await Qmp.ExecuteAsync(QmpCommands.MigrateIncoming("fd:" + StateDescriptor), cancellationToken: cancellationToken).ConfigureAwait(false);
            await state.CopyToAsync(output, 1 << 20, cancellationToken).ConfigureAwait(false);
        }

        await WaitForMigrationAsync("load the state", cancellationToken).ConfigureAwait(false);
    }

    /// <summary>A stream whose other end the monitor has, as <see cref="StateDescriptor"/>.</summary>
    private async Task<NetworkStream> ConnectStateAsync(CancellationToken cancellationToken)
    {
        var (near, far) = SocketCalls.CreatePair(Sockets.SOCK_STREAM);
        var stream = new NetworkStream(new Socket(new SafeSocketHandle(near.Release(), ownsHandle: true)), ownsSocket: true);
        try
        {
            using (far) await Qmp.ExecuteAsync(QmpCommands.GetFd(StateDescriptor), far, cancellationToken: cancellationToken).ConfigureAwait(false);
            return stream;
        }
        catch
        {
            await stream.DisposeAsync().ConfigureAwait(false);
            throw;
        }
    }

    private async Task LoadFromAsync(string uri, CancellationToken cancellationToken)
    {
        await Qmp.ExecuteAsync(QmpCommands.MigrateIncoming(uri), cancellationToken: cancellationToken).ConfigureAwait(false);
        await WaitForMigrationAsync("load the state", cancellationToken).ConfigureAwait(false);
    }

    private async Task PrepareMigrationAsync(CancellationToken cancellationToken)
    {
        if (_sharesFiles || Config.SharedDirectories.Count > 0)
            throw HullException.Unsupported($"machine {Config.Id} shares a host directory, so its state cannot be saved");
        if (Config.Memory is FileMemory)
        {
            await Qmp.ExecuteAsync(QmpCommands.MigrateSetCapability("x-ignore-shared", true),
                cancellationToken: cancellationToken).ConfigureAwait(false);
        }
    }

    private async Task WaitForMigrationAsync(string what, CancellationToken cancellationToken)
    {
        // The MIGRATION event must be asked for by another capability, and a state of a few hundred KiB takes a few
        // milliseconds: asking again soon, then ever more rarely, costs less.
        var started = Environment.TickCount64;
        for (var delay = 1; ; delay = Math.Min(delay * 2, 50))
        {
            var status = await Qmp.ExecuteAsync(QmpCommands.QueryMigrate(), cancellationToken: cancellationToken).ConfigureAwait(false);
            if (status.Completed) return;
            if (status.Failed) throw HullException.Internal($"qemu could not {what} of machine {Config.Id}: {status.Error ?? status.Status}");
            if (Environment.TickCount64 - started > StateTimeout.TotalMilliseconds)
                throw new HullException(ErrorKind.Timeout, $"qemu did not {what} of machine {Config.Id} in time");
            await Task.Delay(delay, cancellationToken).ConfigureAwait(false);
        }
    }

    private static async Task ReceiveStateAsync(NetworkStream input, string path, CancellationToken cancellationToken)
    {
        await using var output = new FileStream(path, FileMode.Create, FileAccess.Write, FileShare.None, 0);
        await input.CopyToAsync(output, 1 << 20, cancellationToken).ConfigureAwait(false);
        output.Flush(flushToDisk: true);
    }
}
