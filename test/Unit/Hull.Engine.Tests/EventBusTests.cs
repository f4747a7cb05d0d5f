using Hull.Engine.Events;

namespace Hull.Engine.Tests;

public sealed class EventBusTests
{
    private static readonly Dictionary<string, string> s_none = [];

    [Fact]
    public async Task Past_and_coming_events_are_read_in_order_until_the_end()
    {
        var bus = new EventBus(TimeProvider.System);
        bus.Publish(EventSubject.Workload, "create", "a", s_none);
        var since = DateTimeOffset.UnixEpoch;
        var reading = ReadAsync(bus, new EventFilter { Since = since }, 3);
        bus.Publish(EventSubject.Workload, "start", "a", s_none);
        bus.Publish(EventSubject.Workload, "die", "a", s_none);
        Assert.Equal(["create", "start", "die"], await reading);
        var ended = new List<string>();
        await foreach (var what in bus.SubscribeAsync(new EventFilter { Until = TimeProvider.System.GetUtcNow() }, default)) ended.Add(what.Action);
        Assert.Equal(["create", "start", "die"], ended);
    }

    [Fact]
    public void Filters_join_members_by_and_and_values_by_or()
    {
        var what = new EngineEvent(EventSubject.Workload, "health_status: healthy", new string('a', 64),
            new Dictionary<string, string> { ["name"] = "web", ["image"] = "nginx:1", ["tier"] = "front" }, default);
        Assert.True(EventMatch.Matches(what, new EventFilter { Actions = ["die", "health_status"] }));
        Assert.True(EventMatch.Matches(what, new EventFilter { Workloads = ["web"], Labels = ["tier=front"], Images = ["nginx"] }));
        Assert.False(EventMatch.Matches(what, new EventFilter { Workloads = ["web"], Labels = ["tier=back"] }));
        Assert.False(EventMatch.Matches(what, new EventFilter { Subjects = [EventSubject.Image] }));
        Assert.True(EventMatch.Matches(what, new EventFilter { Workloads = ["aaaaaaaaaaaa"] }));
    }

    [Fact]
    public async Task A_reader_that_is_behind_loses_the_oldest_only()
    {
        var bus = new EventBus(TimeProvider.System);
        var events = bus.SubscribeAsync(new EventFilter(), default);
        for (var i = 0; i < EventBus.Remembered + 10; i++) bus.Publish(EventSubject.Engine, i.ToString(), "e", s_none);
        await foreach (var what in events)
        {
            Assert.Equal("10", what.Action);
            break;
        }
    }

    private static Task<List<string>> ReadAsync(EventBus bus, EventFilter filter, int count)
    {
        var events = bus.SubscribeAsync(filter, default);
        return Task.Run(async () =>
        {
            var actions = new List<string>();
            await foreach (var what in events)
            {
                actions.Add(what.Action);
                if (actions.Count == count) break;
            }

            return actions;
        });
    }
}
