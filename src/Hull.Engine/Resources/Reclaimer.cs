using Hull.Core;

namespace Hull.Engine.Resources;

/// <summary>Memory of an instance, in bytes.</summary>
/// <param name="Held">What it has of the host.</param>
/// <param name="Needed">What cannot be taken without taking it from its programs.</param>
public readonly record struct MemoryHolding(long Held, long Needed);

/// <summary>An instance that memory can be taken from.</summary>
internal interface IReclaimable
{
    string Id { get; }

    string Name { get; }

    int Priority { get; }

    /// <summary>Bytes that are never taken.</summary>
    long Reserved { get; }

    Task<MemoryHolding> ReadAsync(CancellationToken cancellationToken);

    /// <summary>Makes it do with so many bytes; null lets it have all again.</summary>
    Task PressAsync(long? bytes, CancellationToken cancellationToken);
}

/// <summary>What was taken from an instance.</summary>
/// <param name="Bytes">Since it was pressed first.</param>
/// <param name="Priority">That it had then.</param>
/// <param name="Above">The highest priority then.</param>
public sealed record Taken(long Bytes, int Priority, int Above);

/// <summary>
/// Takes memory from instances of low priority when it is short, and gives it back when it is not. The kernel reclaims too, from
/// all alike: the order is all that is added, so nothing is ever taken from those of the highest priority that run, and nothing
/// is done where all have the same.
/// </summary>
/// <remarks>
/// Steps are small and apart in time, so that what a step frees is seen before the next. Between the two marks of
/// <see cref="ReclaimOptions"/> nothing changes. Nobody is pressed below what is reserved for it, nor below what its programs
/// hold: to press further would only stop them.
/// </remarks>
internal sealed class Reclaimer(ReclaimOptions options, IMemoryPressureSource source, Func<IReadOnlyList<IReclaimable>> running, Action<string> log)
{
    private const long LeastStep = 16L << 20;

    /// <summary>How long a guest may take to answer.</summary>
    private static readonly TimeSpan s_patience = TimeSpan.FromSeconds(30);
    private readonly Lock _gate = new();
    private readonly Dictionary<string, Taken> _taken = [];
    private TaskCompletionSource _changed = new(TaskCreationOptions.RunContinuationsAsynchronously);

    public Taken? TakenFrom(string id)
    {
        lock (_gate) return _taken.GetValueOrDefault(id);
    }

    /// <summary>Who runs, or a priority, has changed.</summary>
    public void Wake()
    {
        lock (_gate) _changed.TrySetResult();
    }

    /// <summary>An engine before this one may have pressed it: it is among the first to be let go.</summary>
    public void Adopt(string id)
    {
        lock (_gate) _taken[id] = new Taken(0, LimitChecks.DefaultPriority, LimitChecks.DefaultPriority);
        Wake();
    }

    public void Forget(string id)
    {
        lock (_gate) _taken.Remove(id);
    }

    /// <summary>Looks after memory until it is cancelled. Sleeps where there is no order to keep.</summary>
    public async Task RunAsync(TimeProvider clock, CancellationToken cancellationToken)
    {
        while (!cancellationToken.IsCancellationRequested)
        {
            Task changed;
            lock (_gate)
            {
                if (_changed.Task.IsCompleted) _changed = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
                changed = _changed.Task;
            }

            try
            {
                if (!HasWork()) await changed.WaitAsync(cancellationToken).ConfigureAwait(false);
                else
                {
                    await Task.Delay(options.Period, clock, cancellationToken).ConfigureAwait(false);
                    await StepAsync(cancellationToken).ConfigureAwait(false);
                }
            }
            catch (OperationCanceledException)
            {
                return;
            }
            catch (HullException error)
            {
                log("memory could not be looked after: " + error.FullMessage);
            }
        }
    }

    /// <summary>One look at the machine, and what follows from it.</summary>
    public async Task StepAsync(CancellationToken cancellationToken)
    {
        var pressure = source.Read();
        var instances = running();
        if (IsShort(pressure)) await TakeAsync(instances, pressure, cancellationToken).ConfigureAwait(false);
        else if (IsPlenty(pressure)) await GiveBackAsync(instances, cancellationToken).ConfigureAwait(false);
    }

    private bool HasWork()
    {
        lock (_gate)
        {
            if (_taken.Count > 0) return true;
        }

        var instances = running();
        return instances.Count > 1 && instances.Any(instance => instance.Priority != instances[0].Priority);
    }

    private bool IsShort(MemoryPressure pressure) =>
        pressure.Available < pressure.Total / 100 * options.ShortPercent || pressure.StalledPercent >= options.StalledPercent;

    private bool IsPlenty(MemoryPressure pressure) =>
        pressure.Available >= pressure.Total / 100 * options.PlentyPercent && pressure.StalledPercent < options.StalledPercent / 2;

    /// <summary>From the lowest priority as far as it goes, and only then from the next.</summary>
    private async Task TakeAsync(IReadOnlyList<IReclaimable> instances, MemoryPressure pressure, CancellationToken cancellationToken)
    {
        if (instances.Count == 0) return;
        var highest = instances.Max(instance => instance.Priority);
        var missing = Math.Max(LeastStep, pressure.Total / 100 * options.PlentyPercent - pressure.Available);
        foreach (var level in instances.Where(instance => instance.Priority < highest).GroupBy(instance => instance.Priority).OrderBy(group => group.Key))
        {
            var got = 0L;
            foreach (var instance in level)
            {
                if (got >= missing) break;
                got += await PressAsync(instance, highest, missing - got, cancellationToken).ConfigureAwait(false);
            }

            if (got > 0) return;
        }
    }

    private async Task<long> PressAsync(IReclaimable instance, int highest, long missing, CancellationToken cancellationToken)
    {
        try
        {
            var holding = await instance.ReadAsync(cancellationToken).WaitAsync(s_patience, cancellationToken).ConfigureAwait(false);
            var spare = holding.Held - Math.Max(instance.Reserved, holding.Needed);
            var amount = Math.Min(Math.Min(Math.Max(LeastStep, holding.Held / 100 * options.StepPercent), missing), spare);
            // Less than a mebibyte is not worth the trouble.
            if (amount < 1L << 20) return 0;
            await instance.PressAsync(holding.Held - amount, cancellationToken).WaitAsync(s_patience, cancellationToken).ConfigureAwait(false);
            lock (_gate) _taken[instance.Id] = new Taken((_taken.GetValueOrDefault(instance.Id)?.Bytes ?? 0) + amount, instance.Priority, highest);
            log($"memory is short: {amount >> 20} MiB were taken from {instance.Name}, whose priority is {instance.Priority}");
            return amount;
        }
        catch (Exception error) when (error is HullException or TimeoutException)
        {
            // It may have ended just now, or a guest is stuck; another is asked instead.
            log($"no memory could be taken from {instance.Name}: {error.Message}");
            return 0;
        }
    }

    /// <summary>One at a time, the highest priority first, so that what it takes again is seen before the next.</summary>
    private async Task GiveBackAsync(IReadOnlyList<IReclaimable> instances, CancellationToken cancellationToken)
    {
        IReclaimable? next;
        lock (_gate) next = instances.Where(instance => _taken.ContainsKey(instance.Id)).MaxBy(instance => instance.Priority);
        if (next is null) return;
        try
        {
            await next.PressAsync(null, cancellationToken).WaitAsync(s_patience, cancellationToken).ConfigureAwait(false);
        }
        catch (TimeoutException)
        {
            log($"{next.Name} does not answer: it is asked no more to take its memory back");
        }

        Forget(next.Id);
    }
}
