using Hull.Engine.Resources;

namespace Hull.Engine.Drivers.Vm;

/// <summary>Whether there is memory for what is kept for nobody, and who is told when there is none.</summary>
/// <param name="whenShort">Called again and again while memory is short, once <see cref="Watch"/> was called.</param>
internal sealed class SpareMemory(ReclaimOptions options, IMemoryPressureSource pressure, Action whenShort) : IDisposable
{
    private readonly Lock _gate = new();
    private Timer? _timer;
    private bool _disposed;

    /// <summary>There is more than is to be kept free.</summary>
    public bool IsPlenty => !IsShort(options.PlentyPercent);

    /// <summary>There is something that can be given back.</summary>
    public void Watch()
    {
        lock (_gate)
        {
            if (_disposed || _timer is not null) return;
            _timer = new Timer(_ =>
            {
                if (IsShort(options.ShortPercent)) whenShort();
            }, null, options.Period, options.Period);
        }
    }

    public void Dispose()
    {
        lock (_gate)
        {
            _disposed = true;
            _timer?.Dispose();
        }
    }

    private bool IsShort(int percent)
    {
        var now = pressure.Read();
        return now.Available < now.Total / 100 * percent || now.StalledPercent > options.StalledPercent;
    }
}
