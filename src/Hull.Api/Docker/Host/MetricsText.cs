using System.Globalization;
using System.Text;
using Hull.Engine.Workloads;

namespace Hull.Api.Docker.Host;

/// <summary>Metrics in Prometheus' text format, version 0.0.4.</summary>
internal static class MetricsText
{
    public static async Task<byte[]> WriteAsync(ApiServices services, CancellationToken cancellationToken)
    {
        var text = new StringBuilder();
        Header(text, "hull_engine_info", "gauge", "What the engine is");
        Line(text, "hull_engine_info", 1, ("version", EngineVersion.Own), ("kernel", HostFacts.KernelRelease));
        Header(text, "hull_workloads", "gauge", "Workloads by state");
        var counts = services.Engine.Workloads.Counts;
        foreach (var status in Enum.GetValues<WorkloadStatus>())
            Line(text, "hull_workloads", counts.TryGetValue(status, out var count) ? count : 0, ("state", Containers.InspectMapping.StatusName(status)));
        Header(text, "hull_images", "gauge", "Images in the store");
        Line(text, "hull_images", services.Images.List().Count);
        Process(text);
        await WorkloadsAsync(text, services, cancellationToken).ConfigureAwait(false);
        return Encoding.UTF8.GetBytes(text.ToString());
    }

    private static void Process(StringBuilder text)
    {
        Header(text, "process_resident_memory_bytes", "gauge", "Memory of the engine itself");
        Line(text, "process_resident_memory_bytes", Environment.WorkingSet);
        Header(text, "process_cpu_seconds_total", "counter", "Processor time of the engine itself");
        Line(text, "process_cpu_seconds_total", Environment.CpuUsage.TotalTime.TotalSeconds);
    }

    private static async Task WorkloadsAsync(StringBuilder text, ApiServices services, CancellationToken cancellationToken)
    {
        var running = await services.Engine.Workloads.ListAsync(new WorkloadFilter(), false, cancellationToken).ConfigureAwait(false);
        var samples = new List<StatsSample>();
        foreach (var workload in running)
        {
            try
            {
                samples.Add(await services.Engine.Workloads.StatsAsync(workload.Id, withPrevious: false, cancellationToken).ConfigureAwait(false));
            }
            catch (Core.HullException)
            {
                // It ended between the list and the question.
            }
        }

        Family(text, samples, "hull_workload_cpu_seconds_total", "counter", "Processor time", s => s.Current.Cpu.Total / 1e9);
        Family(text, samples, "hull_workload_memory_bytes", "gauge", "Memory in use", s => s.Current.Memory.Usage);
        Family(text, samples, "hull_workload_memory_limit_bytes", "gauge", "Memory limit, 0 for none", s => s.Current.Memory.Limit);
        Family(text, samples, "hull_workload_processes", "gauge", "Processes and threads", s => s.Current.Pids.Current);
        Family(text, samples, "hull_workload_network_receive_bytes_total", "counter", "Bytes received", s => s.Current.Interfaces.Values.Sum(i => (double)i.ReceivedBytes));
        Family(text, samples, "hull_workload_network_transmit_bytes_total", "counter", "Bytes sent", s => s.Current.Interfaces.Values.Sum(i => (double)i.SentBytes));
    }

    private static void Family(StringBuilder text, List<StatsSample> samples, string name, string type, string help, Func<StatsSample, double> value)
    {
        Header(text, name, type, help);
        foreach (var sample in samples) Line(text, name, value(sample), ("id", sample.Id), ("name", sample.Name));
    }

    private static void Header(StringBuilder text, string name, string type, string help) =>
        text.Append(CultureInfo.InvariantCulture, $"# HELP {name} {help}\n# TYPE {name} {type}\n");

    private static void Line(StringBuilder text, string name, double value, params ReadOnlySpan<(string Name, string? Value)> labels)
    {
        text.Append(name);
        for (var i = 0; i < labels.Length; i++)
            text.Append(i == 0 ? '{' : ',').Append(labels[i].Name).Append("=\"").Append(Escape(labels[i].Value ?? "")).Append('"');
        if (labels.Length > 0) text.Append('}');
        text.Append(CultureInfo.InvariantCulture, $" {value}\n");
    }

    private static string Escape(string value) => value.Replace("\\", "\\\\", StringComparison.Ordinal)
        .Replace("\"", "\\\"", StringComparison.Ordinal).Replace("\n", "\\n", StringComparison.Ordinal);
}
