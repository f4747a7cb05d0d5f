using System.Globalization;
using System.Text.RegularExpressions;
using Hull.Core;
using Hull.Engine.Events;
using Hull.Network;

namespace Hull.Engine.Workloads;

/// <summary>Inspection, lists and the process table.</summary>
internal sealed partial class WorkloadService
{
    public Task<WorkloadSnapshot> InspectAsync(string workload, bool withSize, CancellationToken cancellationToken) =>
        Task.FromResult(ToSnapshot(Get(workload), withSize));

    public Task<IReadOnlyList<WorkloadSnapshot>> ListAsync(WorkloadFilter filter, bool withSize, CancellationToken cancellationToken)
    {
        var candidates = All.OrderByDescending(workload => workload.Record.CreatedAt).ThenBy(workload => workload.Id, StringComparer.Ordinal);
        var match = new FilterMatch(filter, this);
        var list = new List<WorkloadSnapshot>();
        foreach (var workload in candidates)
        {
            if (!match.Matches(workload)) continue;
            list.Add(ToSnapshot(workload, withSize));
            if (filter.Last > 0 && list.Count == filter.Last) break;
        }

        return Task.FromResult<IReadOnlyList<WorkloadSnapshot>>(list);
    }

    internal WorkloadSnapshot ToSnapshot(Workload workload, bool withSize)
    {
        var (record, state) = (workload.Record, workload.State);
        var network = state.IsRunning ? _services.Networks?.FindInstance(record.Id) : null;
        var directory = _store.DirectoryOf(record.Id);
        return new WorkloadSnapshot
        {
            Id = record.Id,
            Name = record.Name,
            CreatedAt = record.CreatedAt,
            Config = record.Config,
            State = state,
            Process = record.Process,
            ImageId = record.ImageId,
            ManifestDigest = record.ManifestDigest,
            Isolation = record.Isolation,
            Platform = record.Platform,
            LogDriver = record.LogDriver,
            LogOptions = record.LogOptions,
            LogPath = record.LogDriver is "json-file" or "local" ? Path.Combine(directory, LogSettings.FileName) : "",
            Labels = record.Labels,
            Mounts = record.Mounts,
            Networking = new WorkloadNetworking
            {
                NamespacePath = network?.SandboxPath ?? "",
                Networks = record.Networks.ToDictionary(pair => NetworkNameOf(pair.Key), pair => ToAttachment(pair.Key, pair.Value, network)),
                Ports = network?.Ports ?? [],
            },
            ExecIds = [.. workload.ExecIds],
            HostnamePath = network?.HostnamePath ?? Path.Combine(directory, "hostname"),
            HostsPath = network?.HostsPath ?? Path.Combine(directory, "hosts"),
            ResolvConfPath = network?.ResolvConfPath ?? Path.Combine(directory, "resolv.conf"),
            StateDirectory = directory,
            SizeRw = withSize && record.HasSnapshot ? _services.Images!.Snapshotter.Usage(record.Id).Size : null,
            SizeRoot = withSize && record.HasSnapshot ? RootSize(record) : null,
        };
    }

    private long RootSize(WorkloadRecord record)
    {
        var own = _services.Images!.Snapshotter.Usage(record.Id).Size;
        var image = _services.Images.List().FirstOrDefault(image => image.Id.ToString() == record.ImageId);
        return own + (image?.Size ?? 0);
    }

    /// <summary>Networks may be asked for by id; they are shown by name.</summary>
    private string NetworkNameOf(string reference)
    {
        try
        {
            return _services.Networks?.GetNetwork(reference).Name ?? reference;
        }
        catch (HullException)
        {
            return reference;
        }
    }

    private AttachmentState ToAttachment(string reference, AttachmentConfig config, InstanceNetwork? network)
    {
        var endpoint = network?.Endpoints.FirstOrDefault(endpoint => endpoint.NetworkName == reference || endpoint.NetworkId == reference
            || endpoint.Spec.Network == reference);
        if (endpoint is null) return new AttachmentState { Config = config, NetworkId = NetworkIdOf(reference) };
        return new AttachmentState
        {
            Config = config,
            NetworkId = endpoint.NetworkId,
            EndpointId = endpoint.Id,
            InterfaceName = endpoint.InterfaceName,
            Gateway = endpoint.IPv4Gateway?.ToString() ?? "",
            IpAddress = endpoint.IPv4Address?.ToString() ?? "",
            PrefixLength = endpoint.IPv4PrefixLength,
            Ipv6Gateway = endpoint.IPv6Gateway?.ToString() ?? "",
            Ipv6Address = endpoint.IPv6Address?.ToString() ?? "",
            Ipv6PrefixLength = endpoint.IPv6PrefixLength,
            MacAddress = endpoint.MacAddress,
            DnsNames = endpoint.DnsNames,
        };
    }

    private string NetworkIdOf(string reference)
    {
        try
        {
            return _services.Networks?.GetNetwork(reference).Id ?? "";
        }
        catch (HullException)
        {
            return "";
        }
    }

    public async Task<ProcessTable> TopAsync(string workload, string psArguments, CancellationToken cancellationToken)
    {
        var target = Get(workload);
        var instance = target.RequireRunning();
        DriverOf(target.Record.Isolation).Capabilities.Demand(Drivers.InstanceCapability.Top, "top");
        var table = await instance.ProcessTableAsync(psArguments, cancellationToken).ConfigureAwait(false)
            ?? ProcessTables.Read(psArguments, await instance.ProcessIdsAsync(cancellationToken).ConfigureAwait(false));
        Publish(target, "top");
        return table;
    }

    /// <summary>Whether a workload is asked for.</summary>
    private sealed class FilterMatch
    {
        private readonly WorkloadFilter _filter;
        private readonly WorkloadService _service;
        private readonly List<Regex> _names;
        private readonly DateTimeOffset? _before;
        private readonly DateTimeOffset? _since;

        public FilterMatch(WorkloadFilter filter, WorkloadService service)
        {
            (_filter, _service) = (filter, service);
            _names = [.. filter.Names.Select(ParseName)];
            _before = filter.Before is { } before ? service.Get(before).Record.CreatedAt : null;
            _since = filter.Since is { } since ? service.Get(since).Record.CreatedAt : null;
        }

        public bool Matches(Workload workload)
        {
            var (record, state) = (workload.Record, workload.State);
            if (_filter.Statuses.Count > 0 ? !_filter.Statuses.Contains(state.Status)
                : !_filter.All && _filter.Last == 0 && _filter.ExitCodes.Count == 0 && !state.IsRunning && state.Status != WorkloadStatus.Restarting) return false;
            if (_filter.Ids.Count > 0 && !_filter.Ids.Any(id => record.Id.StartsWith(id, StringComparison.Ordinal))) return false;
            if (_names.Count > 0 && !_names.Any(name => name.IsMatch("/" + record.Name) || name.IsMatch(record.Name))) return false;
            if (!_filter.Labels.All(label => LabelMatch.Matches(record.Labels, label))) return false;
            if (_filter.ExitCodes.Count > 0 && (state.IsRunning || state.FinishedAt is null || !_filter.ExitCodes.Contains(state.ExitCode))) return false;
            if (record.CreatedAt >= _before || record.CreatedAt <= _since) return false;
            if (_filter.Isolations.Count > 0 && !_filter.Isolations.Contains(record.Isolation)) return false;
            if (_filter.Health.Count > 0 && !_filter.Health.Contains(state.Health?.Status ?? "none")) return false;
            return MatchesRelations(record, state);
        }

        private bool MatchesRelations(WorkloadRecord record, WorkloadState state)
        {
            if (_filter.Ancestors.Count > 0 && !_filter.Ancestors.Any(image => DescendsFrom(record, image))) return false;
            if (_filter.Volumes.Count > 0 && !_filter.Volumes.Any(volume => record.Mounts.Any(mount => mount.Name == volume || mount.Target == volume || mount.Source == volume))) return false;
            if (_filter.Networks.Count > 0 && !_filter.Networks.Any(network => record.Networks.Keys.Any(own => own == network || SameNetwork(own, network)))) return false;
            if (_filter.Exposed.Count > 0 && !_filter.Exposed.Any(port => Overlaps(port, record.Process.ExposedPorts))) return false;
            if (_filter.Published.Count == 0) return true;
            var ports = state.IsRunning ? _service._services.Networks?.FindInstance(record.Id)?.Ports ?? [] : [];
            return _filter.Published.Any(wanted => ExposedPorts.Expand(wanted).Any(port =>
                ports.Any(published => (published.HostPort == port.Port || published.Port == port.Port) && published.Protocol == port.Protocol)));
        }

        private bool DescendsFrom(WorkloadRecord record, string image)
        {
            if (record.Config.Image == image || record.ImageId == image || record.ImageId == "sha256:" + image) return true;
            if (image.Length >= 4 && record.ImageId.StartsWith("sha256:" + image, StringComparison.Ordinal)) return true;
            var found = _service._services.Images?.Find(image);
            if (found is null) return false;
            if (found.Id.ToString() == record.ImageId) return true;
            // A descendant begins with all layers of its ancestor.
            var own = _service._services.Images?.Find(record.ImageId);
            return own is not null && found.DiffIds.Count > 0 && own.DiffIds.Count >= found.DiffIds.Count
                && own.DiffIds.Take(found.DiffIds.Count).SequenceEqual(found.DiffIds);
        }

        private bool SameNetwork(string own, string wanted)
        {
            var (left, right) = (_service.NetworkIdOf(own), _service.NetworkIdOf(wanted));
            return left.Length > 0 && left == right;
        }

        private static bool Overlaps(string wanted, IReadOnlyList<string> exposed)
        {
            var ports = exposed.SelectMany(ExposedPorts.Expand).Select(port => (port.Port, port.Protocol)).ToHashSet();
            return ExposedPorts.Expand(wanted).Any(port => ports.Contains((port.Port, port.Protocol)));
        }

        private static Regex ParseName(string pattern)
        {
            try
            {
                return new Regex(pattern, RegexOptions.CultureInvariant | RegexOptions.NonBacktracking);
            }
            catch (Exception error) when (error is ArgumentException or NotSupportedException)
            {
                throw HullException.Invalid($"invalid name filter '{pattern}': it is no regular expression", error);
            }
        }
    }
}
