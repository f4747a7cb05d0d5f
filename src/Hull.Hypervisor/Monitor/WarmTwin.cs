using System.Text.Json.Serialization;
using Hull.Hypervisor.Sandboxes;
using Hull.Hypervisor.Templates;

namespace Hull.Hypervisor.Monitor;

/// <summary>What a resident monitor makes ready ahead of the instance it will be for.</summary>
public sealed record WarmRequest(GuestSource Guest, TemplateSource Template, long MemoryBytes, int Processors)
{
    /// <summary>Whether an instance can begin with what was made ready.</summary>
    internal bool Fits(VmBundle bundle) => bundle.Adopted is null && bundle.SharedMounts.Count == 0 && bundle.Template is { Live: not null } template &&
        template.Key == Template.Key && bundle.MemoryBytes == MemoryBytes && bundle.Processors == Processors;
}

[JsonSourceGenerationOptions(PropertyNamingPolicy = JsonKnownNamingPolicy.CamelCase)]
[JsonSerializable(typeof(WarmRequest))]
public sealed partial class WarmRequestJson : JsonSerializerContext;

/// <summary>
/// A twin of a live template that is made but for what is an instance's own. It never ran: it stands still in this process's
/// hands, has no user, cgroup, files or network of anybody's, and ends with this process.
/// </summary>
internal sealed class WarmTwin
{
    private readonly TaskCompletionSource _ready = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private readonly TaskCompletionSource<SandboxOptions> _options = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private readonly Task<SandboxMachine> _making;

    private WarmTwin(WarmRequest request)
    {
        Request = request;
        _making = Task.Run(MakeAsync);
        // One that cannot be made is never ready.
        _making.ContinueWith(failed => _ready.TrySetException(failed.Exception!.InnerExceptions), CancellationToken.None, TaskContinuationOptions.OnlyOnFaulted, TaskScheduler.Default);
    }

    public WarmRequest Request { get; }

    /// <summary>Begins one and answers when it stands ready.</summary>
    public static async Task<WarmTwin> MakeAsync(WarmRequest request)
    {
        var twin = new WarmTwin(request);
        await twin._ready.Task.ConfigureAwait(false);
        return twin;
    }

    /// <summary>Makes it an instance's, and lets it run.</summary>
    public Task<SandboxMachine> TakeAsync(SandboxOptions options)
    {
        _options.SetResult(options);
        return _making;
    }

    /// <summary>Ends it.</summary>
    public async Task DropAsync()
    {
        _options.TrySetCanceled();
        await ((Task)_making).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
    }

    private async Task<SandboxMachine> MakeAsync()
    {
        using var memory = MemoryFile.Open(Request.Template.MemoryPath);
        var template = new Template(Request.Template.Key, new SandboxShape(Request.MemoryBytes, Request.Processors), Request.Guest.ToImage(), memory,
            Request.Template.StatePath, Request.Template.WritablePath);
        return await SandboxMachine.TwinAsync(Request.Guest.ToHypervisor(), template, Request.Template.Live!, () =>
        {
            _ready.TrySetResult();
            return _options.Task.GetAwaiter().GetResult();
        }, isOriginal: false, CancellationToken.None).ConfigureAwait(false);
    }
}
