using System.Collections.Concurrent;
using System.Runtime.InteropServices;
using System.Text.Json;
using Hull.Core;
using Hull.Hypervisor.Monitor;
using Hull.Hypervisor.Sandboxes;
using Hull.Hypervisor.Templates;
using Hull.Linux;
using Hull.Linux.Abi;
using Hull.Linux.Cgroups;
using Hull.Linux.Files;
using Hull.Linux.Processes;
using Hull.Linux.Syscalls;

namespace Hull.Engine.Drivers.Vm;

/// <summary>
/// The live templates of an engine, each kept by a process of its own (<c>hull-vm live</c>) that ends with the engine. One
/// is made in the background once a template was asked for; until it is there, and where it cannot be, machines are made
/// from the template's saved state.
/// </summary>
/// <param name="program">The program hull-vm.</param>
/// <param name="directory">For their files, which are good for this engine's life.</param>
internal sealed class LiveTemplates(string program, string directory, string cgroupParent, string rehearsals) : IAsyncDisposable
{
    /// <summary>A machine that is not ready to be made twice by then never will be.</summary>
    private static readonly TimeSpan s_making = TimeSpan.FromMinutes(3);

    /// <summary>After one failed, or ended, for so long no other is made of the same template.</summary>
    private static readonly TimeSpan s_pause = TimeSpan.FromMinutes(1);

    private readonly ConcurrentDictionary<string, Keeper> _keepers = new();
    private readonly Lock _remains = new();
    private bool _removed;

    /// <summary>The live one of a template, where it is ready. Null begins to make it.</summary>
    public LiveTemplate? Find(GuestSource guest, TemplateSource template, SandboxShape shape)
    {
        // With hardware that virtualizes there is nothing to translate, and its state is not part of a process.
        if (guest.Accelerator != "tcg" || RuntimeInformation.ProcessArchitecture != Architecture.X64) return null;
        RemoveRemains();
        return Find(template.Key, home => RequestFor(home, guest, template, shape));
    }

    /// <summary>The one of that key, where it is ready. Null begins to make it of what it is to be asked for, given its directory.</summary>
    public LiveTemplate? Find(string key, Func<string, LiveTemplateRequest> request)
    {
        Keeper keeper;
        lock (_remains) keeper = _keepers.GetOrAdd(key, _ => new Keeper());
        return keeper.Get(() => Task.Run(() => StartAsync(keeper, key, request)));
    }

    /// <summary>Whether there is one of that key, or it is being made.</summary>
    public bool Has(string key) => _keepers.ContainsKey(key);

    /// <summary>What is asked of the program for the live one of a template.</summary>
    public LiveTemplateRequest RequestFor(string home, GuestSource guest, TemplateSource template, SandboxShape shape) =>
        new(guest, template, shape.MemoryBytes, shape.Processors, home, CgroupOf(Path.GetFileName(home)), RehearsalLayer.In(rehearsals, program));

    /// <summary>Waits until the live one of a template is ready, or cannot be.</summary>
    public async Task WaitAsync(GuestSource guest, TemplateSource template, SandboxShape shape)
    {
        _ = Find(guest, template, shape);
        if (_keepers.TryGetValue(template.Key, out var keeper)) await keeper.WaitAsync().ConfigureAwait(false);
    }

    /// <summary>How many are ready to make twins of.</summary>
    public int Ready => _keepers.Values.Count(keeper => keeper.Live is { Container: null });

    /// <summary>How many of those of images.</summary>
    public int ReadyOfImages => _keepers.Values.Count(keeper => keeper.Live is { Container: not null });

    public async ValueTask DisposeAsync()
    {
        await Task.WhenAll(_keepers.Keys.Select(EndAsync)).ConfigureAwait(false);
        if (Directory.Exists(directory)) Directory.Delete(directory, recursive: true);
    }

    /// <summary>Ends the live one of a template, if there is one; its twins go on.</summary>
    public async Task EndAsync(string key)
    {
        // Once, however often this is called.
        if (!_keepers.TryRemove(key, out var keeper)) return;
        await keeper.EndAsync().ConfigureAwait(false);
        RemoveMonitor(key);
    }

    /// <summary>Removes the files of one that has ended, unless there is another of that key.</summary>
    public void RemoveFiles(string key)
    {
        lock (_remains)
        {
            var home = Path.Combine(directory, key);
            try
            {
                if (!_keepers.ContainsKey(key) && Directory.Exists(home)) Directory.Delete(home, recursive: true);
            }
            catch (IOException)
            {
                // The engine's end removes them all.
            }
        }
    }

    /// <summary>Whether a cgroup's name is that of a template that is there.</summary>
    internal static bool OwnsCgroup(string executionRoot, string name) =>
        name.StartsWith(CgroupPrefix, StringComparison.Ordinal) && DirectoryIn(executionRoot) is var templates && Directory.Exists(templates)
        && Directory.EnumerateDirectories(templates, name[CgroupPrefix.Length..] + "*").Any();

    internal static string DirectoryIn(string executionRoot) => Path.Combine(executionRoot, "vm-live");

    private const string CgroupPrefix = "live-";

    private string CgroupOf(string key) => $"{cgroupParent}/{CgroupPrefix}{key[..12]}";

    /// <summary>Ends what an engine before this one left; its keepers end by themselves, but one that was killed may have left its monitor.</summary>
    private void RemoveRemains()
    {
        lock (_remains)
        {
            if (_removed) return;
            _removed = true;
            foreach (var home in Directory.Exists(directory) ? Directory.GetDirectories(directory) : [])
            {
                try
                {
                    RemoveMonitor(Path.GetFileName(home));
                    Directory.Delete(home, recursive: true);
                }
                catch (Exception error) when (error is IOException or HullException)
                {
                    // Its keeper has not come to its end yet. Whoever makes one of this template tries again.
                }
            }
        }
    }

    private void RemoveMonitor(string key)
    {
        var cgroup = CgroupManager.Name("live", CgroupOf(key));
        cgroup.Kill(9);
        cgroup.Remove();
    }

    private async Task<LiveTemplate> StartAsync(Keeper keeper, string key, Func<string, LiveTemplateRequest> request)
    {
        var home = Path.Combine(directory, key);
        RemoveMonitor(key);
        if (Directory.Exists(home)) Directory.Delete(home, recursive: true);
        Directory.CreateDirectory(home, UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute);
        var path = Path.Combine(home, "request.json");
        AtomicFile.Write(path, JsonSerializer.SerializeToUtf8Bytes(request(home), LiveTemplateJson.Default.LiveTemplateRequest), durable: false);
        using var log = Check.Descriptor(FileCalls.OpenAt(Fcntl.AT_FDCWD, Path.Combine(home, "live.log"), Fcntl.O_WRONLY | Fcntl.O_CREAT | Fcntl.O_APPEND, 0x180), $"open a log");
        var (inputRead, inputWrite) = FileCalls.Pipe();
        var (outputRead, outputWrite) = FileCalls.Pipe();
        using var output = outputRead;
        using (inputRead)
        using (outputWrite)
        {
            keeper.Started(ChildProcess.Start(new ChildProcessOptions(program, "live", path)
            {
                Stdin = inputRead, Stdout = outputWrite, Stderr = log, NewSession = true, WorkingDirectory = "/",
            }), inputWrite);
        }

        var reading = Task.Run(() => ReadLine(output));
        if (await Task.WhenAny(reading, Task.Delay(s_making)).ConfigureAwait(false) != reading) keeper.Kill();
        var line = await reading.ConfigureAwait(false);
        if (line.Length > 0) return JsonSerializer.Deserialize(line, LiveTemplateJson.Default.LiveTemplate)!;
        // A keeper that was killed before its monitor ends with it leaves it running.
        RemoveMonitor(key);
        throw HullException.Internal($"no live template: {File.ReadAllText(Path.Combine(home, "live.log")).Trim()}");
    }

    private static byte[] ReadLine(SafeFd file)
    {
        var line = new List<byte>();
        var buffer = new byte[4096];
        while (FileCalls.Read(file.Value, buffer) is > 0 and var count)
        {
            line.AddRange(buffer.AsSpan(0, (int)count));
            if (line[^1] == (byte)'\n') return [.. line];
        }

        return [];
    }

    /// <summary>One live template and the process that keeps it.</summary>
    private sealed class Keeper
    {
        private readonly Lock _gate = new();
        private Task<LiveTemplate>? _making;
        private ChildProcess? _process;
        private SafeFd? _input;
        private long _madeAt;

        public async Task WaitAsync()
        {
            if (_making is { } making) await ((Task)making).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        }

        /// <summary>What it keeps, where that is ready.</summary>
        public LiveTemplate? Live => _making is { IsCompletedSuccessfully: true } making && _process?.TryWait(0) is null ? making.Result : null;

        public LiveTemplate? Get(Func<Task<LiveTemplate>> make)
        {
            lock (_gate)
            {
                var gone = _making is { IsCompleted: true } && (!_making.IsCompletedSuccessfully || _process!.TryWait(0) is not null);
                if (_making is null || (gone && TimeProvider.System.GetElapsedTime(_madeAt) > s_pause))
                {
                    _madeAt = TimeProvider.System.GetTimestamp();
                    _making = make();
                    return null;
                }

                return !gone && _making.IsCompletedSuccessfully ? _making.Result : null;
            }
        }

        public void Started(ChildProcess process, SafeFd input)
        {
            lock (_gate)
            {
                _input?.Dispose();
                _process?.Dispose();
                (_process, _input) = (process, input);
            }
        }

        public void Kill()
        {
            lock (_gate) _process?.Kill(9);
        }

        public async Task EndAsync()
        {
            var making = _making;
            _input?.Dispose();
            // Nobody waits for a machine that is still being rehearsed.
            if (making is { IsCompleted: false }) Kill();
            if (making is not null) await ((Task)making).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
            _input?.Dispose();
            if (_process is null) return;
            // It ends at once; were it stuck, the engine would not be.
            if (await Task.Run(() => _process.TryWait(5000)).ConfigureAwait(false) is null) _process.Kill(9);
            _process.Dispose();
        }
    }
}
