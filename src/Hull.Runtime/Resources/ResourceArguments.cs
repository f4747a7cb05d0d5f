using System.Globalization;
using System.Text.Json;
using Hull.Core;
using Hull.Oci.Runtime;

namespace Hull.Runtime.Resources;

/// <summary>The options of <c>update</c>, named and spelled as runc has them, as resources to change.</summary>
public static class ResourceArguments
{
    /// <summary>Names of the options that set one value each; each has an argument.</summary>
    public static IReadOnlyList<string> Names { get; } =
    [
        "blkio-weight", "cpu-period", "cpu-quota", "cpu-burst", "cpu-share", "cpu-rt-period", "cpu-rt-runtime", "cpu-idle",
        "cpuset-cpus", "cpuset-mems", "kernel-memory", "kernel-memory-tcp", "memory", "memory-reservation", "memory-swap", "pids-limit",
    ];

    /// <summary>The resources of a JSON document, as <c>--resources</c> has it.</summary>
    public static ResourcesSpec Parse(ReadOnlySpan<byte> json)
    {
        try
        {
            return JsonSerializer.Deserialize(json, RuntimeJson.Default.ResourcesSpec) ?? throw HullException.Invalid("the resources are null");
        }
        catch (JsonException error)
        {
            throw HullException.Invalid("the resources are not the JSON of linux.resources", error);
        }
    }

    /// <summary>The resources that options name, by <see cref="Names"/>.</summary>
    public static ResourcesSpec From(IReadOnlyDictionary<string, string> options)
    {
        var arguments = new Arguments(options);
        var memory = new MemorySpec
        {
            Limit = arguments.Bytes("memory"),
            Reservation = arguments.Bytes("memory-reservation"),
            Swap = arguments.Bytes("memory-swap"),
            KernelTCP = arguments.Bytes("kernel-memory-tcp"),
        };
        var cpu = new CpuSpec
        {
            Shares = arguments.Unsigned("cpu-share"),
            Quota = arguments.Signed("cpu-quota"),
            Burst = arguments.Unsigned("cpu-burst"),
            Period = arguments.Unsigned("cpu-period"),
            RealtimeRuntime = arguments.Signed("cpu-rt-runtime"),
            RealtimePeriod = arguments.Unsigned("cpu-rt-period"),
            Idle = arguments.Signed("cpu-idle"),
            Cpus = arguments.Text("cpuset-cpus"),
            Mems = arguments.Text("cpuset-mems"),
        };
        var weight = arguments.Unsigned("blkio-weight");
        if (weight > ushort.MaxValue) throw HullException.Invalid($"--blkio-weight {weight} is out of range: use 10 to 1000");
        // --kernel-memory is taken and has no effect: the kernel has no such limit since 5.16.
        return new ResourcesSpec
        {
            Memory = memory,
            Cpu = cpu,
            BlockIO = weight is { } value ? new BlockIoSpec { Weight = (ushort)value } : null,
            Pids = arguments.Signed("pids-limit") is { } pids ? new PidsSpec { Limit = pids } : null,
        };
    }

    private readonly ref struct Arguments(IReadOnlyDictionary<string, string> options)
    {
        internal string? Text(string name) => options.TryGetValue(name, out var text) && text.Length > 0 ? text : null;

        internal long? Signed(string name) => Text(name) is not { } text ? null
            : long.TryParse(text, NumberStyles.AllowLeadingSign, CultureInfo.InvariantCulture, out var value) ? value
            : throw HullException.Invalid($"invalid value for {name}: '{text}' is no number");

        internal ulong? Unsigned(string name) => Text(name) is not { } text ? null
            : ulong.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out var value) ? value
            : throw HullException.Invalid($"invalid value for {name}: '{text}' is no number of 0 and above");

        /// <summary>Bytes with an optional unit of 1024 (b, k, m, g, t, p, also as kb, KiB …), or -1.</summary>
        internal long? Bytes(string name)
        {
            if (Text(name) is not { } text) return null;
            if (text == "-1") return -1;
            var digits = 0;
            while (digits < text.Length && (char.IsAsciiDigit(text[digits]) || text[digits] == '.')) digits++;
            var unit = text[digits..].Trim().ToLowerInvariant();
            if (unit.EndsWith("ib", StringComparison.Ordinal)) unit = unit[..^2];
            else if (unit.Length > 1 && unit[^1] == 'b') unit = unit[..^1];
            var power = unit.Length == 0 ? 0 : unit.Length == 1 ? "bkmgtp".IndexOf(unit[0]) : -1;
            if (power < 0 || !double.TryParse(text.AsSpan(0, digits), NumberStyles.AllowDecimalPoint, CultureInfo.InvariantCulture, out var number))
            {
                throw HullException.Invalid($"invalid value for {name}: '{text}' is no size such as 64m or 67108864");
            }

            var bytes = number * Math.Pow(1024, power);
            return bytes < long.MaxValue ? (long)bytes : throw HullException.Invalid($"invalid value for {name}: '{text}' is too large");
        }
    }
}
