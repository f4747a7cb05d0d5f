using System.Collections.Concurrent;

namespace Hull.Api.Docker.Containers;

/// <summary>
/// Output on its way to attached clients. A wait is answered behind it: a client reads the two from different connections, and
/// takes what it has when the wait returns for all there is.
/// </summary>
internal sealed class OutputsUnderWay
{
    /// <summary>A client that does not read its output must not hold up one that waits.</summary>
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(1);

    private readonly ConcurrentDictionary<Task, string> pumps = new();

    public async Task CarryAsync(string workload, Task pump)
    {
        pumps[pump] = workload;
        try
        {
            await pump.ConfigureAwait(false);
        }
        finally
        {
            pumps.TryRemove(pump, out _);
        }
    }

    /// <summary>Completes, without an error, once what the workload wrote has been handed over.</summary>
    public async Task ArrivedAsync(string workload)
    {
        var own = pumps.Where(pump => pump.Value == workload).Select(pump => pump.Key).ToList();
        if (own.Count > 0) await Task.WhenAll(own).WaitAsync(Patience).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
    }
}
