namespace Hull.Engine;

/// <summary>
/// How long something has lasted, by the clock that nobody sets. Only what went before, in the time of another engine, is
/// taken from wall time.
/// </summary>
internal sealed class Age
{
    private readonly TimeProvider _clock;
    private readonly TimeSpan _before;
    private readonly long _from;

    public Age(TimeProvider clock, DateTimeOffset since)
    {
        var before = clock.GetUtcNow() - since;
        (_clock, _before, _from) = (clock, before > TimeSpan.Zero ? before : TimeSpan.Zero, clock.GetTimestamp());
    }

    public TimeSpan Now => _before + _clock.GetElapsedTime(_from);
}
