using System.Runtime.CompilerServices;
using System.Threading.Channels;

namespace Hull.Engine.Events;

/// <summary>Hands events to every subscriber and remembers the last <see cref="Remembered"/>.</summary>
public sealed class EventBus(TimeProvider clock) : IEvents
{
    /// <summary>Events kept for <see cref="EventFilter.Since"/>, and the most that a slow reader may be behind.</summary>
    public const int Remembered = 1000;

    private readonly Lock _gate = new();
    private readonly Queue<EngineEvent> _past = new(Remembered);
    private readonly List<Channel<EngineEvent>> _subscribers = [];

    public void Publish(EngineEvent what)
    {
        lock (_gate)
        {
            if (_past.Count == Remembered) _past.Dequeue();
            _past.Enqueue(what);
            foreach (var subscriber in _subscribers) subscriber.Writer.TryWrite(what);
        }
    }

    /// <summary>An event of now.</summary>
    public void Publish(EventSubject subject, string action, string id, IReadOnlyDictionary<string, string> attributes) =>
        Publish(new EngineEvent(subject, action, id, attributes, clock.GetUtcNow()));

    public IAsyncEnumerable<EngineEvent> SubscribeAsync(EventFilter filter, CancellationToken cancellationToken)
    {
        var channel = Channel.CreateBounded<EngineEvent>(new BoundedChannelOptions(Remembered) { FullMode = BoundedChannelFullMode.DropOldest });
        EngineEvent[] past;
        lock (_gate)
        {
            past = filter.Since is null && filter.Until is null ? [] : [.. _past];
            _subscribers.Add(channel);
        }

        return ReadAsync(past, channel, filter, cancellationToken);
    }

    private async IAsyncEnumerable<EngineEvent> ReadAsync(EngineEvent[] past, Channel<EngineEvent> channel, EventFilter filter,
        [EnumeratorCancellation] CancellationToken cancellationToken)
    {
        try
        {
            foreach (var what in past)
            {
                if (what.At >= (filter.Since ?? DateTimeOffset.MinValue) && !(what.At > filter.Until) && EventMatch.Matches(what, filter))
                    yield return what;
            }

            using var end = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
            if (filter.Until is { } until)
            {
                var left = until - clock.GetUtcNow();
                if (left <= TimeSpan.Zero) yield break;
                end.CancelAfter(left);
            }

            while (await WaitAsync(channel.Reader, end.Token, cancellationToken).ConfigureAwait(false))
            {
                while (channel.Reader.TryRead(out var what))
                {
                    if (EventMatch.Matches(what, filter)) yield return what;
                }
            }
        }
        finally
        {
            lock (_gate) _subscribers.Remove(channel);
        }
    }

    /// <summary>False at the time the filter ends; a caller who gives up gets the exception.</summary>
    private static async Task<bool> WaitAsync(ChannelReader<EngineEvent> reader, CancellationToken end, CancellationToken caller)
    {
        try
        {
            return await reader.WaitToReadAsync(end).ConfigureAwait(false);
        }
        catch (OperationCanceledException) when (!caller.IsCancellationRequested)
        {
            return false;
        }
    }
}

/// <summary>Whether an event is wanted.</summary>
internal static class EventMatch
{
    public static bool Matches(EngineEvent what, EventFilter filter)
    {
        if (filter.Subjects.Count > 0 && !filter.Subjects.Contains(what.Subject)) return false;
        if (filter.Actions.Count > 0 && !filter.Actions.Any(action => MatchesAction(what.Action, action))) return false;
        if (filter.Labels.Count > 0 && !filter.Labels.All(label => LabelMatch.Matches(what.Attributes, label))) return false;
        return Named(what, filter.Workloads, EventSubject.Workload, "container") && Named(what, filter.Images, EventSubject.Image, "image")
            && Named(what, filter.Volumes, EventSubject.Volume, "volume") && Named(what, filter.Networks, EventSubject.Network, "network");
    }

    /// <summary><c>exec_start: sh</c> is matched by <c>exec_start</c> too.</summary>
    private static bool MatchesAction(string actual, string wanted)
    {
        if (actual == wanted) return true;
        var colon = actual.IndexOf(':');
        return colon > 0 && actual.AsSpan(0, colon).SequenceEqual(wanted);
    }

    /// <summary>By id, beginning of the id or name; a workload's event matches an image filter by its image.</summary>
    private static bool Named(EngineEvent what, IReadOnlyList<string> wanted, EventSubject subject, string attribute)
    {
        if (wanted.Count == 0) return true;
        foreach (var name in wanted)
        {
            if (what.Subject == subject && (what.Id == name || (name.Length > 3 && what.Id.StartsWith(name, StringComparison.Ordinal)))) return true;
            if (what.Subject == subject && what.Attributes.TryGetValue("name", out var own) && own == name.TrimStart('/')) return true;
            if (what.Subject != subject && what.Attributes.TryGetValue(attribute, out var other) && (other == name || other.StartsWith(name + ":", StringComparison.Ordinal))) return true;
        }

        return false;
    }
}

/// <summary><c>key</c> or <c>key=value</c> against labels.</summary>
internal static class LabelMatch
{
    public static bool Matches(IReadOnlyDictionary<string, string> labels, string wanted)
    {
        var equals = wanted.IndexOf('=');
        if (equals < 0) return labels.ContainsKey(wanted);
        return labels.TryGetValue(wanted[..equals], out var value) && value == wanted[(equals + 1)..];
    }
}
