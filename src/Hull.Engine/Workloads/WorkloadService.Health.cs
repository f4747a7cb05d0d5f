using Hull.Core;

namespace Hull.Engine.Workloads;

/// <summary>What an unhealthy workload brings upon itself.</summary>
internal sealed partial class WorkloadService
{
    internal async Task OnUnhealthyAsync(Workload workload, string action)
    {
        try
        {
            switch (action)
            {
                case "restart":
                    await RestartAsync(workload.Id, new StopRequest(), _stopping.Token).ConfigureAwait(false);
                    break;
                case "stop":
                    await StopAsync(workload.Id, new StopRequest(), _stopping.Token).ConfigureAwait(false);
                    break;
                case "kill":
                    await KillAsync(workload.Id, "KILL", _stopping.Token).ConfigureAwait(false);
                    break;
            }
        }
        catch (Exception error) when (error is HullException or OperationCanceledException)
        {
            _services.Log($"{workload.Name} is unhealthy, and its action '{action}' failed: {error.Message}");
        }
    }
}
