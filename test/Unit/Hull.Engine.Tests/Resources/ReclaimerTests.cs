using Hull.Core;
using Hull.Engine.Resources;

namespace Hull.Engine.Tests.Resources;

public sealed class ReclaimerTests
{
    private const long MiB = 1L << 20;

    private readonly List<Instance> _instances = [];
    private readonly Machine _machine = new();
    private readonly Reclaimer _reclaimer;

    public ReclaimerTests() => _reclaimer = new Reclaimer(new ReclaimOptions(), _machine, () => [.. _instances], _ => { });

    [Fact]
    public async Task The_lowest_priority_gives_first_and_down_to_what_it_needs()
    {
        var low = Add("low", 10, held: 300, needed: 220);
        var middle = Add("middle", 50, held: 500, needed: 0);
        var high = Add("high", 90, held: 1000, needed: 0);
        _machine.Available = 10;
        foreach (var expected in new long[] { 270, 243, 220 })
        {
            await _reclaimer.StepAsync(default);
            Assert.Equal(expected, low.Held / MiB);
        }

        Assert.Equal(500, middle.Held / MiB);
        await _reclaimer.StepAsync(default);
        Assert.Equal((220, 450), (low.Held / MiB, middle.Held / MiB));
        for (var i = 0; i < 100; i++) await _reclaimer.StepAsync(default);
        Assert.Equal((220, 0, 1000), (low.Held / MiB, middle.Held / MiB, high.Held / MiB));
    }

    [Fact]
    public async Task Nothing_is_taken_below_a_reservation()
    {
        var low = Add("low", 10, held: 300, needed: 0, reserved: 290);
        Add("high", 90, held: 1000, needed: 0);
        _machine.Available = 10;
        for (var i = 0; i < 5; i++) await _reclaimer.StepAsync(default);
        Assert.Equal(290, low.Held / MiB);
        Assert.Equal(new Taken(10 * MiB, 10, 90), _reclaimer.TakenFrom("low"));
    }

    [Fact]
    public async Task Equals_are_left_to_the_kernel()
    {
        var (one, other) = (Add("one", 50, 300, 0), Add("other", 50, 300, 0));
        _machine.Available = 10;
        await _reclaimer.StepAsync(default);
        Assert.Equal((300, 300), (one.Held / MiB, other.Held / MiB));
    }

    [Fact]
    public async Task Between_the_marks_nothing_changes_and_above_them_it_is_given_back_highest_first()
    {
        var low = Add("low", 10, 100, 90);
        var middle = Add("middle", 50, 100, 90);
        Add("high", 90, 1000, 0);
        _machine.Available = 10;
        for (var i = 0; i < 4; i++) await _reclaimer.StepAsync(default);
        Assert.Equal((90, 90), (low.Held / MiB, middle.Held / MiB));
        _machine.Available = 70;
        await _reclaimer.StepAsync(default);
        Assert.True(low.IsPressed && middle.IsPressed);
        _machine.Available = 200;
        await _reclaimer.StepAsync(default);
        Assert.True(low.IsPressed && !middle.IsPressed);
        await _reclaimer.StepAsync(default);
        Assert.False(low.IsPressed);
        Assert.Null(_reclaimer.TakenFrom("low"));
    }

    [Fact]
    public async Task Programs_that_wait_for_memory_are_pressure_too()
    {
        var low = Add("low", 10, 400, 0);
        Add("high", 90, 400, 0);
        (_machine.Available, _machine.Stalled) = (500, 30);
        await _reclaimer.StepAsync(default);
        Assert.Equal(384, low.Held / MiB);
        // Still more than half of what counts as pressure: not yet given back.
        _machine.Stalled = 15;
        await _reclaimer.StepAsync(default);
        Assert.True(low.IsPressed);
        _machine.Stalled = 1;
        await _reclaimer.StepAsync(default);
        Assert.False(low.IsPressed);
    }

    [Fact]
    public async Task One_that_cannot_be_pressed_does_not_save_the_others()
    {
        Add("gone", 10, 400, 0).Fails = true;
        var low = Add("low", 10, 400, 0);
        Add("high", 90, 400, 0);
        _machine.Available = 10;
        await _reclaimer.StepAsync(default);
        Assert.Equal(360, low.Held / MiB);
    }

    [Fact]
    public async Task It_sleeps_while_there_is_no_order_to_keep_and_steps_by_the_clock()
    {
        var clock = new ManualClock();
        using var end = new CancellationTokenSource();
        var low = Add("low", 50, 400, 0);
        Add("high", 50, 400, 0);
        _machine.Available = 10;
        var running = _reclaimer.RunAsync(clock, end.Token);
        Assert.Equal(0, clock.Timers);
        low.Priority = 10;
        _reclaimer.Wake();
        await clock.AdvanceAsync();
        await Eventually(() => low.Held / MiB == 360);
        await clock.AdvanceAsync();
        await Eventually(() => low.Held / MiB == 324);
        Assert.Equal(2, _machine.Reads);
        await end.CancelAsync();
        await running;
    }

    private Instance Add(string name, int priority, long held, long needed, long reserved = 0)
    {
        var instance = new Instance(name) { Priority = priority, Held = held * MiB, Needed = needed * MiB, Reserved = reserved * MiB };
        _instances.Add(instance);
        return instance;
    }

    private static async Task Eventually(Func<bool> condition)
    {
        for (var i = 0; i < 3000 && !condition(); i++) await Task.Delay(10);
        Assert.True(condition());
    }

    /// <summary>A machine of 1000 MiB.</summary>
    private sealed class Machine : IMemoryPressureSource
    {
        public long Available { get; set; } = 1000;

        public double Stalled { get; set; }

        public int Reads { get; private set; }

        public MemoryPressure Read()
        {
            Reads++;
            return new MemoryPressure(Available * MiB, 1000 * MiB, Stalled);
        }
    }

    private sealed class Instance(string name) : IReclaimable
    {
        public string Id => name;

        public string Name => name;

        public int Priority { get; set; }

        public long Reserved { get; init; }

        public long Held { get; set; }

        public long Needed { get; init; }

        public bool Fails { get; set; }

        public bool IsPressed { get; private set; }

        public Task<MemoryHolding> ReadAsync(CancellationToken cancellationToken) =>
            Fails ? Task.FromException<MemoryHolding>(HullException.Conflict("it ended")) : Task.FromResult(new MemoryHolding(Held, Needed));

        public Task PressAsync(long? bytes, CancellationToken cancellationToken)
        {
            IsPressed = bytes is not null;
            Held = bytes ?? Held;
            return Task.CompletedTask;
        }
    }

    /// <summary>A clock whose timers end when they are told to.</summary>
    private sealed class ManualClock : TimeProvider
    {
        private readonly Lock _gate = new();
        private readonly List<(TimerCallback Callback, object? State)> _timers = [];

        public int Timers
        {
            get { lock (_gate) return _timers.Count; }
        }

        public override ITimer CreateTimer(TimerCallback callback, object? state, TimeSpan dueTime, TimeSpan period)
        {
            lock (_gate) _timers.Add((callback, state));
            return new Nothing();
        }

        /// <summary>Waits for a timer, and lets it end.</summary>
        public async Task AdvanceAsync()
        {
            await Eventually(() => Timers > 0);
            (TimerCallback Callback, object? State)[] due;
            lock (_gate)
            {
                due = [.. _timers];
                _timers.Clear();
            }

            foreach (var (callback, state) in due) callback(state);
        }

        private sealed class Nothing : ITimer
        {
            public bool Change(TimeSpan dueTime, TimeSpan period) => true;

            public void Dispose()
            {
            }

            public ValueTask DisposeAsync() => ValueTask.CompletedTask;
        }
    }
}
