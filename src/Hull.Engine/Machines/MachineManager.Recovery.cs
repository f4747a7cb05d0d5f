using Hull.Core;
using Hull.Hypervisor;
using Hull.Hypervisor.Qemu;
using Hull.Runtime.State;

namespace Hull.Engine.Machines;

/// <summary>
/// From what is on disk to what runs: after an engine was away, and after a monitor failed. The engine may have been killed
/// between any two steps; a monitor that no record speaks of never ran a guest, and is ended.
/// </summary>
public sealed partial class MachineManager
{
    private static readonly TimeSpan FirstRestartDelay = TimeSpan.FromSeconds(1);
    private static readonly TimeSpan LongestRestartDelay = TimeSpan.FromMinutes(1);

    /// <summary>What a machine's monitor is called in process lists.</summary>
    private static string MonitorName(string id) => id[..16];

    private readonly Dictionary<string, TimeSpan> _restartDelays = [];
    private readonly CancellationTokenSource _closing = new();

    /// <summary>
    /// Removes what operations that were cut off had made so far: images and saved states that no record speaks of, what was
    /// to be exported, imported or pushed, and documents that were being written.
    /// </summary>
    private void RemoveRemains()
    {
        foreach (var record in _store.All)
        {
            var directory = new DirectoryInfo(_store.DirectoryOf(record.Id));
            HashSet<string> known = [.. record.Config.Disks.Select(disk => disk.File), .. record.Backings?.Keys ?? [],
                .. record.Snapshots.SelectMany(snapshot => snapshot.Disks.Values.Append(snapshot.StateFile ?? "")),
                .. _store.All.SelectMany(other => other.Backings?.Values ?? []).Where(file => Path.GetDirectoryName(file) == directory.FullName).Select(file => Path.GetFileName(file))];
            foreach (var file in directory.EnumerateFiles().Where(file => !known.Contains(file.Name)))
                if (file.Extension == ".qcow2" || file.Name.StartsWith("state-", StringComparison.Ordinal) || file.Name[0] == '.') file.Delete();
            foreach (var work in directory.EnumerateDirectories().Where(work => work.Name is ExportDirectory or PushDirectory)) work.Delete(recursive: true);
        }

        foreach (var work in Directory.EnumerateDirectories(_options.RuntimeDirectory, ImportPrefix + "*")) Directory.Delete(work, recursive: true);
    }

    /// <summary>Finds a machine's monitor again, or takes back what it left and starts it where it is to be kept running.</summary>
    private async Task ReconcileAsync(MachineRecord record, IReadOnlyDictionary<string, int> monitors, CancellationToken cancellationToken)
    {
        if (monitors.TryGetValue(MonitorName(record.Id), out var process))
        {
            if (record.Monitor is { } monitor && monitor.ProcessId == process && ProcessIdentity.StartTimeOf(process) == monitor.StartTicks
                && await TryReattachAsync(record, process, cancellationToken).ConfigureAwait(false)) return;
            await QemuMonitors.EndAsync(process, cancellationToken).ConfigureAwait(false);
        }

        await ForgetRunningAsync(record.Id).ConfigureAwait(false);
        if (record is { WantedRunning: true, Config.AutoStart: true }) _ = RestartAsync(record);
    }

    /// <summary>False where the monitor does not answer or never came to run its guest: it is of no use then.</summary>
    private async Task<bool> TryReattachAsync(MachineRecord record, int process, CancellationToken cancellationToken)
    {
        try
        {
            var hypervisor = await _options.HypervisorFor(record.Config.Architecture, cancellationToken).ConfigureAwait(false);
            var machine = await hypervisor.ReattachAsync(Describe(record), process, LaunchOptions(record), cancellationToken).ConfigureAwait(false);
            var state = await machine.QueryStateAsync(cancellationToken).ConfigureAwait(false);
            if (state is MachineState.Incoming or MachineState.NotStarted)
            {
                await machine.DetachMonitorAsync().ConfigureAwait(false);
                return false;
            }

            // An engine that ended while it took a snapshot left the machine standing still.
            if (state == MachineState.Paused && !record.WantedPaused)
            {
                await machine.ResumeAsync(cancellationToken).ConfigureAwait(false);
                state = MachineState.Running;
            }

            Track(record.Id, machine, paused: state == MachineState.Paused);
            return true;
        }
        catch (HullException error)
        {
            _options.Log($"machine '{record.Config.Name}' is started anew: {error.FullMessage}");
            return false;
        }
    }

    /// <summary>Starts a machine that is to be kept running, ever more rarely the more often it fails.</summary>
    private async Task RestartAsync(MachineRecord record)
    {
        while (true)
        {
            try
            {
                await Task.Delay(NextRestartDelay(record), _clock, _closing.Token).ConfigureAwait(false);
                await ExclusiveAsync(record.Id, async current => current.WantedRunning && Find(current.Id) is null
                    ? await StartAsync(current, saved: null, _closing.Token).ConfigureAwait(false) : View(current), _closing.Token).ConfigureAwait(false);
                return;
            }
            catch (Exception end) when (end is OperationCanceledException or HullException { Kind: ErrorKind.NotFound })
            {
                return;
            }
            catch (HullException error)
            {
                _options.Log($"machine '{record.Config.Name}' could not be started: {error.FullMessage}");
                // A start that failed took the wish to run back; here it is not the operator's.
                await ExclusiveAsync(record.Id, current => Task.FromResult(_store.Save(current with { WantedRunning = true })), CancellationToken.None).ConfigureAwait(false);
            }
        }
    }

    private TimeSpan NextRestartDelay(MachineRecord record)
    {
        lock (_lock)
        {
            var lasted = record.Monitor is { } monitor && _clock.GetUtcNow() - monitor.Started > LongestRestartDelay;
            var delay = lasted ? FirstRestartDelay : _restartDelays.GetValueOrDefault(record.Id, FirstRestartDelay);
            _restartDelays[record.Id] = delay * 2 < LongestRestartDelay ? delay * 2 : LongestRestartDelay;
            return delay;
        }
    }
}
