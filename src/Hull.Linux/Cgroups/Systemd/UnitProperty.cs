using Hull.Core;
using Hull.Linux.DBus;

namespace Hull.Linux.Cgroups;

/// <summary>A property of a unit. Its value is of one of the types that <see cref="Write"/> knows.</summary>
internal readonly record struct UnitProperty(string Name, object Value)
{
    /// <summary>Writes the pair of name and variant.</summary>
    internal static void Write(DBusWriter writer, UnitProperty property)
    {
        writer.Align(8).Text(property.Name);
        switch (property.Value)
        {
            case string text:
                writer.Signature("s").Text(text);
                break;
            case bool flag:
                writer.Signature("b").Boolean(flag);
                break;
            case ulong number:
                writer.Signature("t").UInt64(number);
                break;
            case byte[] bytes:
                writer.Signature("ay").Array(1, bytes, (output, value) => output.Byte(value));
                break;
            case uint[] numbers:
                writer.Signature("au").Array(4, numbers, (output, value) => output.UInt32(value));
                break;
            case string[] texts:
                writer.Signature("as").Array(4, texts, (output, value) => output.Text(value));
                break;
            case (string, string)[] pairs:
                writer.Signature("a(ss)").Array(8, pairs, (output, value) => output.Align(8).Text(value.Item1).Text(value.Item2));
                break;
            default:
                throw HullException.Internal($"a property of the type {property.Value.GetType().Name} cannot be sent");
        }
    }
}

/// <summary>
/// Limits as systemd has them (systemd.resource-control(5)). systemd writes its units anew when it is reloaded, so what it can
/// express it must know; the rest, and the exact values, are written to the cgroup itself.
/// </summary>
internal static class UnitProperties
{
    private const ulong DefaultPeriod = 100_000;
    private const ulong QuotaStep = 10_000;

    internal static List<UnitProperty> Of(CgroupLimits limits, CgroupVersion version)
    {
        var properties = new List<UnitProperty>();
        if (limits.Memory is { } memory) AddMemory(properties, memory, version);
        if (limits.Cpu is { } cpu) AddCpu(properties, cpu, version);
        if (limits.Pids is { } pids) properties.Add(new("TasksMax", OrInfinite(pids)));
        if (limits.BlockIo?.Weight is { } weight)
            properties.Add(version == CgroupVersion.V2 ? new("IOWeight", V2Limits.IoWeight(weight)) : new("BlockIOWeight", (ulong)weight));
        if (limits.Devices is { } devices) AddDevices(properties, DevicePolicy.Of(devices));
        return properties;
    }

    private static void AddMemory(List<UnitProperty> properties, MemoryLimits memory, CgroupVersion version)
    {
        if (version == CgroupVersion.V1)
        {
            if (memory.Limit is { } one) properties.Add(new("MemoryLimit", OrInfinite(one)));
            return;
        }

        if (memory.Limit is { } limit) properties.Add(new("MemoryMax", OrInfinite(limit)));
        if (memory.Reservation is { } reservation) properties.Add(new("MemoryLow", OrInfinite(reservation)));
        if (V2Limits.SwapLimit(memory) is { } swap) properties.Add(new("MemorySwapMax", OrInfinite(swap)));
    }

    private static void AddCpu(List<UnitProperty> properties, CpuLimits cpu, CgroupVersion version)
    {
        if (cpu.Shares is { } shares)
            properties.Add(version == CgroupVersion.V2 ? new("CPUWeight", V2Limits.CpuWeight(shares)) : new("CPUShares", shares));
        if (cpu.Quota is not null || cpu.Period is not null)
        {
            var period = cpu.Period ?? DefaultPeriod;
            if (cpu.Period is not null) properties.Add(new("CPUQuotaPeriodUSec", period));
            // Microseconds per second, which systemd keeps as whole percents: rounded up, as the exact value is written later.
            var second = cpu.Quota is not ({ } quota and > 0) ? ulong.MaxValue : ((ulong)quota * 1_000_000 / period + QuotaStep - 1) / QuotaStep * QuotaStep;
            properties.Add(new("CPUQuotaPerSecUSec", second));
        }

        if (version != CgroupVersion.V2) return;
        if (!string.IsNullOrEmpty(cpu.Cpus)) properties.Add(new("AllowedCPUs", Mask(cpu.Cpus)));
        if (!string.IsNullOrEmpty(cpu.MemoryNodes)) properties.Add(new("AllowedMemoryNodes", Mask(cpu.MemoryNodes)));
    }

    /// <summary>Rules that systemd cannot say, such as a denied device where all others are allowed, are left to the cgroup.</summary>
    private static void AddDevices(List<UnitProperty> properties, DevicePolicy policy)
    {
        if (policy.AllowsByDefault)
        {
            properties.Add(new("DevicePolicy", "auto"));
            return;
        }

        var allowed = new List<(string, string)>();
        foreach (var (key, access) in policy.Exceptions)
        {
            var kind = key.Kind == DeviceKind.Block ? "block" : "char";
            var path = key switch
            {
                { Major: null } => $"{kind}-*",
                { Minor: null } => DriverOf(kind, key.Major.Value) is { } driver ? $"{kind}-{driver}" : null,
                _ => $"/dev/{kind}/{key.Major}:{key.Minor}",
            };
            if (path is not null) allowed.Add((path, DevicePolicy.Text(access)));
        }

        properties.Add(new("DevicePolicy", "strict"));
        properties.Add(new("DeviceAllow", allowed.ToArray()));
    }

    /// <summary>The driver of a major number by /proc/devices (proc(5)); one that no driver has is of no device either.</summary>
    private static string? DriverOf(string kind, long major)
    {
        var section = "";
        foreach (var line in (CgroupFile.TryRead("/proc/devices", out _) ?? "").Split('\n', StringSplitOptions.TrimEntries))
        {
            if (line.EndsWith("devices:", StringComparison.Ordinal)) section = line;
            else if (section.StartsWith(kind, StringComparison.OrdinalIgnoreCase) && line.Split(' ') is [var number, var name] && number == Number.Text(major)) return name;
        }

        return null;
    }

    private static byte[] Mask(string list)
    {
        var numbers = Number.ParseList(list);
        var mask = new byte[numbers.Count == 0 ? 0 : numbers.Max() / 8 + 1];
        foreach (var number in numbers) mask[number / 8] |= (byte)(1 << (number % 8));
        return mask;
    }

    private static ulong OrInfinite(long value) => value < 0 ? ulong.MaxValue : (ulong)value;
}
