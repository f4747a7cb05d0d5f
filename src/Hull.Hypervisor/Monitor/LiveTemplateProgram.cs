using System.Text;
using System.Text.Json;
using Hull.Agent.Protocol;
using Hull.Hypervisor.Agent;
using Hull.Hypervisor.Disks;
using Hull.Hypervisor.Qemu;
using Hull.Hypervisor.Sandboxes;
using Hull.Hypervisor.Templates;
using Hull.Linux;
using Hull.Linux.Abi;
using Hull.Linux.Files;
using Hull.Linux.Netlink;
using Hull.Linux.Syscalls;
using Hull.Linux.Tracing;
using Hull.Oci.Runtime;

namespace Hull.Hypervisor.Monitor;

/// <summary>
/// The process that keeps a live template: <c>hull-vm live REQUEST</c>. It is the parent of the template's monitor and of
/// its twins, collects them, and ends with whoever started it, when that end of its standard input is closed. The twins
/// then go on.
/// </summary>
internal static class LiveTemplateProgram
{
    /// <summary>As long as the ids of machines.</summary>
    private const string Name = "live-machine";

    public static int Run(string requestPath)
    {
        try
        {
            var request = AtomicFile.ReadJson(requestPath, LiveTemplateJson.Default.LiveTemplateRequest);
            // On this thread, which is there to the end: the monitor ends with the thread that made it.
            var making = request.Image is { } image ? MakeOfImageAsync(request, image) : MakeAsync(request);
            var (live, sandbox) = making.GetAwaiter().GetResult();
            var line = JsonSerializer.SerializeToUtf8Bytes(live, LiveTemplateJson.Default.LiveTemplate);
            FileCalls.Write(1, [.. line, (byte)'\n']);
            new Thread(CollectTwins) { IsBackground = true, Name = "twins" }.Start();
            var ended = new TaskCompletionSource();
            new Thread(() => WaitForEndOfInput(ended)) { IsBackground = true, Name = "input" }.Start();
            // The monitor ends with this thread, that of an image's template with its original's.
            Task.WhenAny(ended.Task, sandbox.Machine.Exited).GetAwaiter().GetResult();
            sandbox.Machine.Kill();
            return 0;
        }
        catch (HullException failure)
        {
            FileCalls.Write(2, Encoding.UTF8.GetBytes($"hull-vm: {failure.FullMessage}\n"));
            return ErrorMapping.ToExitCode(failure.Kind);
        }
    }

    private static void CollectTwins()
    {
        while (ProcessCalls.Wait(-1, 0, out _) > 0)
        {
            // There is one child at least, the original.
        }
    }

    private static void WaitForEndOfInput(TaskCompletionSource ended)
    {
        Span<byte> nothing = stackalloc byte[16];
        while (FileCalls.Read(0, nothing) > 0)
        {
            // Nobody writes there.
        }

        ended.SetResult();
    }

    private static async Task<(LiveTemplate Live, SandboxMachine Sandbox)> MakeAsync(LiveTemplateRequest request)
    {
        var memory = MemoryFile.Open(request.Template.MemoryPath);
        var template = request.Open(memory);
        var (log, console) = (Path.Combine(request.Directory, "qemu.log"), Path.Combine(request.Directory, "console.log"));
        var jail = new QemuJail(Path.Combine(request.Directory, "vmm"), request.CgroupsPath, 0,
            [request.Guest.Kernel, request.Guest.Initrd], IsOriginal: true) { Capabilities = QemuJail.TwinMaking };
        var disks = new WritableDisk(Path.Combine(request.Directory, "disks"));
        // One disk for the rehearsal and a fresh one after it, as the twins will have.
        var (used, fresh) = (Path.Combine(request.Directory, "used.img"), Path.Combine(request.Directory, LiveTemplate.WritableName));
        foreach (var disk in (string[])[used, fresh])
        {
            File.Delete(disk);
            disks.Create(disk, source: template.WritablePath);
        }

        var layers = new LayerDisk("", [LargeCopy(request.RehearsalLayer, Path.Combine(request.Directory, "layers.img"))]);
        var sandbox = await SandboxMachine.CloneAsync(request.Guest.ToHypervisor(), template,
            new SandboxOptions(Name, layers, used, TapDevice.OpenAlone(), console, log, jail)).ConfigureAwait(false);
        ProcessTwin.Prepare(sandbox.Machine.ProcessId);
        await Rehearsal.PlayLiveAsync(sandbox.Agent, layers).ConfigureAwait(false);
        await sandbox.ExchangeDisksAsync(null, fresh).ConfigureAwait(false);
        await sandbox.Agent.PrepareDisksAsync(SandboxShape.WritableDisk).ConfigureAwait(false);
        await sandbox.Machine.PauseAsync().ConfigureAwait(false);
        File.Delete(used);
        return (Describe(sandbox, request.Directory, Name, (log, console, layers.Single!, fresh)), sandbox);
    }

    /// <summary>
    /// Makes a twin of a live template and in it the container of an image, up to the step before a program of it runs. Of the
    /// image, only its layers are looked at, which Hull itself has written.
    /// </summary>
    private static async Task<(LiveTemplate Live, SandboxMachine Sandbox)> MakeOfImageAsync(LiveTemplateRequest request, ImageContainer image)
    {
        var memory = MemoryFile.Open(request.Template.MemoryPath);
        var template = request.Open(memory);
        var (log, console) = (Path.Combine(request.Directory, "qemu.log"), Path.Combine(request.Directory, "console.log"));
        var writable = Path.Combine(request.Directory, LiveTemplate.WritableName);
        new WritableDisk(Path.Combine(request.Directory, "disks")).Create(writable, source: template.WritablePath);
        var layers = image.Layers.Count == 0 ? null : new LayerDisk(Path.Combine(request.Directory, "layers.vmdk"), image.Layers);
        var name = ("live-" + Path.GetFileName(request.Directory))[..Name.Length];
        var sandbox = await SandboxMachine.TwinAsync(request.Guest.ToHypervisor(), template, request.Template.Live!, new SandboxOptions(name, layers, writable,
            TapDevice.OpenAlone(), console, log, new QemuJail(Path.Combine(request.Directory, "vmm"), request.CgroupsPath, 0, [], IsOriginal: true))).ConfigureAwait(false);
        await CreateContainerAsync(sandbox.Agent, image, layers).ConfigureAwait(false);
        await sandbox.Machine.PauseAsync().ConfigureAwait(false);
        return (Describe(sandbox, request.Directory, name, (log, console, "", writable)) with { Container = ImageContainer.Id }, sandbox);
    }

    private static async Task CreateContainerAsync(AgentClient agent, ImageContainer image, LayerDisk? layers)
    {
        var spec = RuntimeDocuments.ParseSpec(AtomicFile.Read(image.SpecPath), image.SpecPath);
        var translation = GuestSpec.Translate(spec, ImageContainer.Id, image.HasNetwork, []);
        await agent.ReleaseAsync(ReleaseRequest.Nobody()).ConfigureAwait(false);
        // They stay open: each twin goes on with them as its own.
        var (input, output, error) = (agent.OpenStream(), agent.OpenStream(), agent.OpenStream());
        var isTerminal = spec.Process?.Terminal == true;
        await agent.CreateContainerAsync(new CreateContainerRequest(ImageContainer.Id, GuestSpec.Serialize(translation.Spec),
            new RootLayout(SandboxShape.LayersDisk, layers?.Extents ?? [], SandboxShape.WritableDisk, IsPrepared: true), [], translation.Files,
            new StreamIds(image.HasInput ? input.Id : 0, output.Id, isTerminal ? 0 : error.Id), 0, 0, DefersProgram: true, image.Expected)).ConfigureAwait(false);
    }

    /// <summary>A copy as large as the disk that the template was booted with: a guest may read from it what any other file has in its place.</summary>
    private static string LargeCopy(string file, string copy)
    {
        SparseFile.Copy(file, copy);
        using var large = Check.Descriptor(FileCalls.OpenAt(Fcntl.AT_FDCWD, copy, Fcntl.O_WRONLY), $"open {copy}");
        Check.Result(FileCalls.Truncate(large.Value, SandboxShape.PlaceholderBytes), $"size {copy}");
        return copy;
    }

    private static LiveTemplate Describe(SandboxMachine sandbox, string directory, string name, (string Log, string Console, string Layers, string Writable) paths)
    {
        var open = OpenFiles.Of(sandbox.Machine.ProcessId);
        var numbers = sandbox.Numbers;
        return new LiveTemplate(sandbox.Machine.ProcessId, directory, name, numbers.Control, numbers.Data, numbers.Qmp, numbers.Tap,
            new LiveFiles([.. open[paths.Log]], [.. open[paths.Console]], [.. open[paths.Layers]], [.. open[paths.Writable]], MemoryFile.NumbersIn(open)), sandbox.Machine.Generations);
    }
}
