using Hull.Core;
using Hull.Engine.Drivers;
using Hull.Network;

namespace Hull.Engine.Workloads;

/// <summary>Editing what exists: limits, policies, ports, mounts and networks.</summary>
internal sealed partial class WorkloadService
{
    public async Task<IReadOnlyList<string>> UpdateAsync(string workload, UpdateRequest request, CancellationToken cancellationToken)
    {
        var target = Get(workload);
        return await ChangeAsync(target, async () =>
        {
            var warnings = new List<string>();
            var config = Edit(target.Record.Config, request);
            ConfigValidation.Check(config, Options);
            var moves = config.Group != target.Record.Config.Group;
            if (moves && target.State.IsRunning)
                throw HullException.Conflict($"{target.Name} runs, and stays in the group it was started in: stop it, update it and start it again");
            if (request.Restart is { } restart) ConfigValidation.CheckRestart(restart, config.AutoRemove);
            var record = target.Record with { Config = config };
            if (moves) CheckReservation(record);
            if (request.Labels is { } labels) record = record with { Labels = Merge(target.Record.Labels, labels) };
            if (request.Health is { } health) record = record with { Process = record.Process with { Health = health.Test is ["NONE", ..] ? null : health } };
            if (request.Log is { } log)
            {
                record = record with { LogDriver = log.Driver is { Length: > 0 } driver ? driver : record.LogDriver, LogOptions = MergeLogOptions(log) };
                _ = LogSettings.ToSpec(record, "");
            }

            if (request.Mounts is not null)
            {
                record = record with { Mounts = await ResolveMountsAsync(record, [], cancellationToken).ConfigureAwait(false) };
                HoldVolumes(record);
            }

            if (target.State.IsRunning && target.Instance is { } instance)
                await ApplyReservedAsync(target.Record, record, () => ApplyLiveAsync(record, request, instance, warnings, cancellationToken)).ConfigureAwait(false);
            _store.Write(record);
            if (request.Mounts is not null) DropImages(target.Record.Mounts);
            target.Record = record;
            _reclaimer.Wake();
            Publish(target, "update");
            return (IReadOnlyList<string>)warnings;
        }, cancellationToken).ConfigureAwait(false);
    }

    private static WorkloadConfig Edit(WorkloadConfig config, UpdateRequest request)
    {
        if (request.Resources is { } limits) config = config with { Resources = LimitTranslation.Merge(config.Resources, limits) };
        if (request.Restart is { } restart) config = config with { Restart = restart };
        if (request.Ports is { } ports) config = config with { Networking = config.Networking with { Ports = ports } };
        if (request.Mounts is { } mounts) config = config with { Mounts = mounts };
        if (request.Labels is { } labels) config = config with { Labels = Merge(config.Labels, labels) };
        if (request.Health is { } health) config = config with { Health = health };
        if (request.Log is { } log) config = config with { Log = log };
        if (request.Group is { } group) config = config with { Group = group.Length > 0 ? group : null };
        if (request.DependsOn is { } dependencies) config = config with { DependsOn = dependencies };
        return request.EdgeData is { } edge ? config with { EdgeData = Merge(config.EdgeData, edge) } : config;
    }

    private async Task ApplyReservedAsync(WorkloadRecord before, WorkloadRecord record, Func<Task> apply)
    {
        _services.Admission.Admit(ClaimOf(record));
        try
        {
            await apply().ConfigureAwait(false);
        }
        catch
        {
            _services.Admission.Take(ClaimOf(before));
            throw;
        }
    }

    /// <summary>What a running instance can take on takes effect now; for the rest the user is told.</summary>
    private async Task ApplyLiveAsync(WorkloadRecord record, UpdateRequest request, IInstance instance, List<string> warnings, CancellationToken cancellationToken)
    {
        if (request.Resources is { } limits)
        {
            DriverOf(record.Isolation).Capabilities.Demand(InstanceCapability.UpdateResources, "update of limits");
            await instance.UpdateAsync(WithShares(limits, record.Config.Resources), cancellationToken).ConfigureAwait(false);
            if ((limits.NetworkEgressBits ?? limits.NetworkIngressBits) is not null && _services.Networks is { } shaped)
            {
                await shaped.SetLimitsAsync(record.Id, null, BandwidthOf(record) ?? new BandwidthLimits(), cancellationToken).ConfigureAwait(false);
            }
        }

        if (request.Ports is not null && _services.Networks is { } networks)
            await networks.PublishAsync(record.Id, PortsOf(record), cancellationToken).ConfigureAwait(false);
        if (request.Mounts is not null) warnings.Add("the new mounts take effect when the container is started again");
        if (request.Log is not null) warnings.Add("the new log settings take effect when the container is started again");
        if (request.Health is not null) warnings.Add("the new health check takes effect when the container is started again");
    }

    public Task ConnectAsync(string workload, string network, AttachmentConfig config, CancellationToken cancellationToken)
    {
        var target = Get(workload);
        return ChangeAsync(target, async () =>
        {
            var networks = _services.Networks ?? throw HullException.Unsupported("this engine has no networks");
            var name = networks.GetNetwork(network).Name;
            if (target.Record.Config.Networking.Mode is "host" or "none" || target.Record.Config.Networking.Mode?.StartsWith("container:", StringComparison.Ordinal) == true)
                throw HullException.Conflict($"{target.Name} uses network mode {target.Record.Config.Networking.Mode}, which excludes further networks");
            if (FindAttachment(target.Record, name) is not null) throw HullException.Conflict($"{target.Name} is connected to {name} already");
            if (target.State.IsRunning)
            {
                DriverOf(target.Record.Isolation).Capabilities.Demand(InstanceCapability.NetworkHotPlug, "connecting while it runs");
                await networks.ConnectAsync(target.Id, ToEndpoint(name, config, target.Record), cancellationToken).ConfigureAwait(false);
            }

            Replace(target, new Dictionary<string, AttachmentConfig>(target.Record.Networks) { [name] = config });
            PublishNetwork(networks, name, "connect", target);
        }, cancellationToken);
    }

    public Task DisconnectAsync(string workload, string network, bool force, CancellationToken cancellationToken)
    {
        if (force && TryFind(workload) is null) return Task.CompletedTask;
        var target = Get(workload);
        return ChangeAsync(target, async () =>
        {
            var networks = _services.Networks ?? throw HullException.Unsupported("this engine has no networks");
            var name = networks.GetNetwork(network).Name;
            var key = FindAttachment(target.Record, name) ?? throw HullException.Conflict($"{target.Name} is not connected to {name}");
            if (target.State.IsRunning)
            {
                DriverOf(target.Record.Isolation).Capabilities.Demand(InstanceCapability.NetworkHotPlug, "disconnecting while it runs");
                await networks.DisconnectAsync(target.Id, name, cancellationToken).ConfigureAwait(false);
            }

            var left = new Dictionary<string, AttachmentConfig>(target.Record.Networks);
            left.Remove(key);
            Replace(target, left);
            PublishNetwork(networks, name, "disconnect", target);
        }, cancellationToken);
    }

    private string? FindAttachment(WorkloadRecord record, string name) =>
        record.Networks.Keys.FirstOrDefault(key => key == name || NetworkNameOf(key) == name);

    private void Replace(Workload workload, Dictionary<string, AttachmentConfig> networks)
    {
        var record = workload.Record with { Networks = networks };
        _store.Write(record);
        workload.Record = record;
    }

    private void PublishNetwork(NetworkManager networks, string name, string action, Workload workload)
    {
        var network = networks.GetNetwork(name);
        _services.Events.Publish(Events.EventSubject.Network, action, network.Id, new Dictionary<string, string>
        {
            ["name"] = network.Name,
            ["type"] = network.Spec.Driver.ToString().ToLowerInvariant(),
            ["container"] = workload.Id,
        });
    }
}
