using Hull.Engine.Drivers.Vm;

namespace Hull.Engine.Tests;

public sealed class RecentFormsTests
{
    private readonly Clock _clock = new();
    private readonly RecentForms _forms;

    public RecentFormsTests() => _forms = new RecentForms(2, _clock);

    [Fact]
    public void What_is_run_again_has_a_template_and_what_is_run_once_has_none()
    {
        Assert.False(Use("a"));
        Assert.False(Use("b"));
        Assert.True(Use("a"));
        Assert.True(Use("a"));
        Assert.True(Use("b"));
    }

    [Fact]
    public void The_one_used_longest_ago_makes_room_but_not_at_once()
    {
        foreach (var key in (string[])["a", "a", "b", "b", "c"]) Use(key);
        Assert.False(_forms.Use("c", "t", out var ended));
        Assert.Null(ended);
        _clock.Now += RecentForms.ShortTime;
        Assert.True(Use("b"));
        Assert.True(_forms.Use("c", "t", out ended));
        Assert.Equal("a", ended);
        // It was run often enough, and takes its place again when there is one.
        Assert.False(Use("a"));
        _clock.Now += RecentForms.ShortTime;
        Assert.True(Use("a"));
    }

    [Fact]
    public void Templates_are_dropped_by_age_and_with_what_they_were_made_of()
    {
        Use("a");
        Use("a");
        var between = _clock.Now += TimeSpan.FromSeconds(1);
        _clock.Now += TimeSpan.FromSeconds(1);
        _forms.Use("b", "other", out _);
        _forms.Use("b", "other", out _);
        Assert.Equal(["a"], _forms.Drop(between));
        Assert.Empty(_forms.Drop(between));
        Assert.Equal(["b"], _forms.Drop(DateTimeOffset.MinValue, "other"));
        Assert.True(Use("a"));
        Assert.Equal(["a"], _forms.Drop(DateTimeOffset.MaxValue));
    }

    [Fact]
    public void Forms_without_end_are_not_all_remembered()
    {
        Use("kept");
        Use("kept");
        Use("forgotten");
        for (var index = 0; index < RecentForms.MostKnown; index++)
        {
            _clock.Now += TimeSpan.FromSeconds(1);
            Assert.False(Use($"form {index}"));
        }

        Assert.False(Use("forgotten"));
        Assert.Equal(["kept"], _forms.Drop(DateTimeOffset.MaxValue));
    }

    private bool Use(string key) => _forms.Use(key, "template", out _);

    private sealed class Clock : TimeProvider
    {
        public DateTimeOffset Now { get; set; } = new(2026, 1, 1, 0, 0, 0, TimeSpan.Zero);

        public override DateTimeOffset GetUtcNow() => Now;
    }
}
