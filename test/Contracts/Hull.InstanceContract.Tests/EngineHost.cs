using System.Text;
using Hull.Engine;
using Hull.Engine.Drivers;
using Hull.Engine.Resources;
using Hull.Engine.Workloads;
using Hull.Testing;

namespace Hull.InstanceContract.Tests;

/// <summary>An engine of the test's own, with directories, sockets and cgroups that nobody else has.</summary>
public sealed class EngineHost : IAsyncDisposable
{
    private readonly TemporaryDirectory _directory = new("hull-eng");
    private readonly Func<EngineOptions, EngineParts> _compose;

    private Images.IImageService? _images;
    private string _image = "";
    private bool _isOpen;

    private EngineHost(Func<EngineOptions, EngineParts> compose, Func<EngineOptions, EngineOptions>? adjust)
    {
        _compose = compose;
        RootPath = _directory["root"];
        Directory.CreateDirectory(RootPath);
        BusyboxRoot.Make(RootPath);
        var options = new EngineOptions
        {
            DataRoot = _directory["data"],
            ExecRoot = _directory["exec"],
            ShimPath = Repository.Executable("hull-shim"),
            CgroupParent = "/" + Path.GetFileName(_directory.Path),
            Resources = new ResourceOptions { Reclaim = new ReclaimOptions { Period = TimeSpan.FromMilliseconds(200) } },
        };
        Options = adjust?.Invoke(options) ?? options;
    }

    public EngineOptions Options { get; }

    public HullEngine Engine { get; private set; } = null!;

    public string RootPath { get; }

    public List<string> Log { get; } = [];

    /// <summary>What the engine takes for the machine's pressure; plenty of memory unless a test says otherwise.</summary>
    public Pressure Memory { get; } = new();

    /// <summary>Done before each creation of a workload.</summary>
    public Func<WorkloadConfig, Task>? Creating { get; set; }

    public string this[string relative] => _directory[relative];

    public sealed class Pressure : IMemoryPressureSource
    {
        public bool IsShort { get; set; }

        public MemoryPressure Read() => new(IsShort ? 0 : 1L << 34, 1L << 34, 0);
    }

    public static async Task<EngineHost> StartAsync(Func<EngineOptions, EngineParts> compose, Func<EngineOptions, EngineOptions>? adjust = null)
    {
        Require.Root();
        var host = new EngineHost(compose, adjust);
        await host.OpenAsync();
        await host.ImportRootAsync();
        return host;
    }

    /// <summary>The engine dies as if by kill -9: nothing is told to anybody, and another takes over.</summary>
    public async Task ReplaceEngineAsync()
    {
        _isOpen = false;
        await Engine.DisposeAsync();
        await OpenAsync();
    }

    public WorkloadConfig Config(params string[] command) => new()
    {
        RootDirectory = _image.Length > 0 ? null : RootPath,
        Image = _image,
        Networking = new NetworkingConfig { Mode = "none" },
        Process = new ProcessConfig { Command = command, Entrypoint = [] },
    };

    public Task<string> CreateAsync(params string[] command) => CreateAsync(Config(command));

    public async Task<string> CreateAsync(WorkloadConfig config)
    {
        if (Creating is not null) await Creating(config);
        return (await Engine.Workloads.CreateAsync(config, default)).Id;
    }

    public async Task<string> RunAsync(params string[] command) => await RunAsync(Config(command));

    public async Task<string> RunAsync(WorkloadConfig config)
    {
        var id = await CreateAsync(config);
        await Engine.Workloads.StartAsync(id, default);
        return id;
    }

    /// <summary>Runs to the end; answers the exit code and all output.</summary>
    public async Task<(int Code, string Output, string Error)> CompleteAsync(WorkloadConfig config)
    {
        var id = await CreateAsync(config);
        using var wait = Engine.Workloads.Wait(id, WaitCondition.NextExit);
        await using var attachment = await Engine.Workloads.AttachAsync(id, new AttachRequest(StreamSelection.Output | StreamSelection.Error), default);
        await Engine.Workloads.StartAsync(id, default);
        var (output, error) = await ReadAllAsync(attachment);
        var result = await wait.Completion.WaitAsync(TimeSpan.FromSeconds(60));
        await Engine.Workloads.RemoveAsync(id, new RemoveRequest(), default);
        return (result.ExitCode, output, error);
    }

    public Task<(int Code, string Output, string Error)> CompleteAsync(params string[] command) => CompleteAsync(Config(command));

    public async Task<(int Code, string Output, string Error)> ExecAsync(string id, ExecConfig config, string? input = null)
    {
        var exec = await Engine.Execs.CreateAsync(id, config with { Attach = input is null ? StreamSelection.Output | StreamSelection.Error : StreamSelection.All }, default);
        await using var attachment = await Engine.Execs.StartAsync(exec, new ExecStartRequest(), default) ?? throw new InvalidOperationException("no attachment");
        if (input is not null)
        {
            await attachment.WriteInputAsync(Encoding.UTF8.GetBytes(input), default);
            await attachment.CloseInputAsync();
        }

        var (output, error) = await ReadAllAsync(attachment);
        return (Engine.Execs.Inspect(exec).ExitCode ?? -1, output, error);
    }

    public Task<(int Code, string Output, string Error)> ExecAsync(string id, params string[] command) => ExecAsync(id, new ExecConfig { Command = command });

    public static async Task<(string Output, string Error)> ReadAllAsync(IAttachment attachment)
    {
        using var limit = new CancellationTokenSource(TimeSpan.FromSeconds(60));
        var texts = new Dictionary<OutputStream, MemoryStream> { [OutputStream.Output] = new(), [OutputStream.Error] = new() };
        var buffer = new byte[64 * 1024];
        while (await attachment.ReadAsync(buffer, limit.Token) is { Count: > 0 } chunk) texts[chunk.Stream].Write(buffer, 0, chunk.Count);
        return (Text(OutputStream.Output), Text(OutputStream.Error));

        string Text(OutputStream stream) => Encoding.UTF8.GetString(texts[stream].ToArray());
    }

    public async Task<string> LogsAsync(string id, LogQuery? query = null)
    {
        using var limit = new CancellationTokenSource(TimeSpan.FromSeconds(60));
        var text = new StringBuilder();
        await foreach (var entry in Engine.Workloads.LogsAsync(id, query ?? new LogQuery(), limit.Token)) text.Append(Encoding.UTF8.GetString(entry.Bytes.Span));
        return text.ToString();
    }

    public async Task<WorkloadSnapshot> InspectAsync(string id) => await Engine.Workloads.InspectAsync(id, false, default);

    /// <summary>Looks again until it holds, for at most a minute.</summary>
    public static async Task EventuallyAsync(Func<Task<bool>> condition, string what)
    {
        for (var i = 0; i < 1200; i++)
        {
            if (await condition()) return;
            await Task.Delay(50);
        }

        Assert.Fail("waited a minute in vain for: " + what);
    }

    public Task UntilAsync(string id, WorkloadStatus status) =>
        EventuallyAsync(async () => (await InspectAsync(id)).State.Status == status, $"{id[..12]} to be {status}");

    public async ValueTask DisposeAsync()
    {
        // Where a replacement could not be opened: an engine that was disposed of learns of no end any more, and would wait for it.
        if (!_isOpen) await OpenAsync();
        foreach (var workload in await Engine.Workloads.ListAsync(new WorkloadFilter { All = true }, false, default))
            await Engine.Workloads.RemoveAsync(workload.Id, new RemoveRequest(Force: true, Volumes: true), default);
        foreach (var status in Engine.Groups.List()) Engine.Groups.Remove(status.Group.Name);
        await Engine.DisposeAsync();
        foreach (var hierarchy in Directory.EnumerateDirectories("/sys/fs/cgroup"))
        {
            var group = Path.Combine(hierarchy, Options.CgroupParent.TrimStart('/'));
            if (Directory.Exists(group)) Command.Run("rmdir", group);
        }

        // Layers stay mounted as long as their store lives, and this one ends here.
        foreach (var line in Enumerable.Reverse(File.ReadAllLines("/proc/mounts")))
        {
            if (line.Split(' ')[1] is var mount && mount.StartsWith(_directory.Path + "/", StringComparison.Ordinal)) Command.Run("umount", "-l", mount);
        }

        _directory.Dispose();
    }

    /// <summary>An engine that has images runs the root as one: not every isolation can take a directory of the host for a root.</summary>
    private async Task ImportRootAsync()
    {
        if (_images is not { } images) return;
        var archive = _directory["root.tar"];
        Command.Run("tar", "-C", RootPath, "-cf", archive, ".").Ok();
        await using var content = File.OpenRead(archive);
        _image = (await images.ImportAsync(content, null)).Id.ToString();
    }

    private async Task OpenAsync()
    {
        var parts = _compose(Options);
        _images = parts.Images;
        Engine = await HullEngine.OpenAsync(Options, parts with { Pressure = Memory, Log = line => { lock (Log) Log.Add(line); } });
        _isOpen = true;
    }
}
