using Hull.Hypervisor.Disks;
using Hull.Hypervisor.Monitor;
using Hull.Hypervisor.Qemu;
using Hull.Hypervisor.Templates;
using Hull.Linux;
using Hull.Linux.Abi;
using Hull.Linux.Files;
using Hull.Linux.Processes;
using Hull.Linux.Syscalls;

namespace Hull.Hypervisor.Sandboxes;

/// <summary>Duplicating a running machine by its monitor's process.</summary>
public sealed partial class SandboxMachine
{
    /// <summary>
    /// Makes a twin of the machine that stands still as it is at one moment, for others to be made of as of a live template:
    /// memory and translated code are shared until they are written to. Fails with <see cref="ErrorKind.Unsupported"/> where
    /// the machine can only be saved.
    /// </summary>
    /// <param name="directory">For a copy of its writable disk and what is to be known of it; a fresh one.</param>
    internal async Task<HeldMachine> HoldAsync(string directory, CancellationToken cancellationToken = default)
    {
        if (!_isTwin || !UserNamespacesAllowed())
            throw HullException.Unsupported($"machine {Machine.Config.Id} can be duplicated by saving it only");
        var (template, beginning) = await RequireTemplateAsync(cancellationToken).ConfigureAwait(false);
        var (near, far) = (new List<SafeFd>(), new List<SafeFd>());
        Task<ChildProcess>? making = null;
        try
        {
            for (var channel = 0; channel < 3; channel++)
            {
                var (one, other) = SocketCalls.CreatePair(Sockets.SOCK_STREAM);
                near.Add(one);
                far.Add(other);
            }

            var original = LiveTemplateOf(directory);
            var pause = await StandStillAsync(async () =>
            {
                var separated = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
                making = Task.Run(() => QemuTwin.Hold(original, far[0], far[1], far[2], separated.SetResult), CancellationToken.None);
                var copying = Task.Run(() =>
                {
                    if (_options.WritableDisk is { } disk) SparseFile.Copy(disk, Path.Combine(directory, VmControl.DiskName));
                }, CancellationToken.None);
                await Task.WhenAny(separated.Task, making).ConfigureAwait(false);
                await copying.ConfigureAwait(false);
            }, cancellationToken).ConfigureAwait(false);
            var process = await making!.ConfigureAwait(false);
            // As a saved state begins: all that is asked of the template's.
            AtomicFile.Write(Path.Combine(directory, VmControl.StateName), QemuMachine.StateOf(beginning), durable: false);
            return new HeldMachine(process, near, original with { Process = process.Pid }, $"/proc/{Environment.ProcessId}/fd/{template.Value}", pause);
        }
        catch
        {
            if (making is not null) await EndTwinAsync(making).ConfigureAwait(false);
            near.ForEach(channel => channel.Dispose());
            throw;
        }
        finally
        {
            far.ForEach(channel => channel.Dispose());
        }
    }

    private static async Task EndTwinAsync(Task<ChildProcess> making)
    {
        await ((Task)making).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        if (making.IsCompletedSuccessfully) HeldMachine.End(making.Result);
    }

    private LiveTemplate LiveTemplateOf(string directory)
    {
        var open = OpenFiles.Of(Machine.ProcessId);
        return new LiveTemplate(Machine.ProcessId, directory, _options.Id, Numbers.Control, Numbers.Data, Numbers.Qmp, Numbers.Tap,
            new LiveFiles([.. open[_options.LogPath ?? ""]], [.. open[_options.ConsolePath ?? ""]], [], [.. open[_options.WritableDisk ?? ""]], MemoryFile.NumbersIn(open)),
            Machine.Generations, OfInstance: true);
    }

    /// <summary>Whether a process without privileges can make a user namespace here (user_namespaces(7), and what distributions add).</summary>
    private static bool UserNamespacesAllowed() =>
        Setting("/proc/sys/user/max_user_namespaces") != "0" && Setting("/proc/sys/kernel/unprivileged_userns_clone") != "0" &&
        Setting("/proc/sys/kernel/apparmor_restrict_unprivileged_userns") != "1";

    private static string? Setting(string path) => File.Exists(path) ? File.ReadAllText(path).Trim() : null;
}

/// <summary>A twin of a running machine that stands still, and the near ends of its channels. It ends when this is disposed of.</summary>
/// <param name="MemoryPath">The memory of the template that the machine was made of, by a descriptor of this process.</param>
/// <param name="Pause">How long programs of the guest stood still for it.</param>
internal sealed record HeldMachine(ChildProcess Process, IReadOnlyList<SafeFd> Channels, LiveTemplate Live, string MemoryPath, TimeSpan Pause) : IDisposable
{
    public static void End(ChildProcess process)
    {
        const int killSignal = 9;
        process.Kill(killSignal);
        process.Dispose();
    }

    public void Dispose()
    {
        End(Process);
        foreach (var channel in Channels) channel.Dispose();
    }
}
