using System.Reflection;
using System.Text.Json;
using Hull.Hypervisor;
using Hull.Hypervisor.Qemu;
using Hull.Hypervisor.Qmp;
using Hull.Testing;

namespace Hull.MachineContract.Tests;

/// <summary>
/// Every command Hull gives to a monitor, with every argument, is one of the QEMU that is installed: its own schema
/// (<c>query-qmp-schema</c>) is asked, so that a release that renames something fails here and not in front of a guest.
/// </summary>
public sealed class QmpSchemaTests
{
    /// <summary>Values for parameters that QEMU takes only certain words for.</summary>
    private static readonly Dictionary<string, object> Samples = new()
    {
        ["format"] = "png", ["capability"] = "x-ignore-shared",
        ["node"] = QemuDevices.BlockNode("n", new ImageDisk("/x", "qcow2", ReadOnly: false)).AddNull("backing"),
        ["netdev"] = QemuDevices.Netdev(new NicConfig("nic0", "52:54:00:00:00:01", new NamedTapNic("tap0"))),
        ["definition"] = new QemuProperties().Add("qom-type", "memory-backend-ram").Add("id", "m").Add("size", 1L),
        ["device"] = new QemuProperties().Add("driver", "pc-dimm").Add("id", "d"),
        ["job"] = new BackupJob("j", "d", "t", "incremental", "b"),
        ["actions"] = new (string, QemuProperties)[]
        {
            ("blockdev-snapshot", new QemuProperties().Add("node", "n").Add("overlay", "o")),
            ("blockdev-backup", new BackupJob("j", "d", "t", "full").ToProperties()),
            ("block-dirty-bitmap-add", new QemuProperties().Add("node", "n").Add("name", "b").Add("persistent", true)),
        },
    };

    [Theory]
    [InlineData("amd64")]
    [InlineData("arm64")]
    public async Task CommandsAreThoseOfTheInstalledQemu(string architecture)
    {
        Require.Program(QemuCommandLine.ProgramFor(architecture));
        var schema = await Schema.OfAsync(architecture);
        var problems = new List<string>();
        var checkedCommands = 0;
        foreach (var (name, arguments) in Commands())
        {
            checkedCommands++;
            problems.AddRange(schema.Check(name, arguments));
        }

        Assert.Empty(problems);
        Assert.True(checkedCommands > 35, $"only {checkedCommands} commands were found");
        Assert.NotEmpty(schema.Check("no-such-command", null));
        Assert.NotEmpty(schema.Check("balloon", new QemuProperties().Add("valu", 1L)));
        Assert.NotEmpty(schema.Check("blockdev-add", new QemuProperties().Add("driver", "qcow2").Add("node-name", "n").Add("fil", "x")));
    }

    /// <summary>Each command of <see cref="QmpCommands"/> with a value for each parameter, and what devices add to them.</summary>
    private static IEnumerable<(string Name, QemuProperties? Arguments)> Commands()
    {
        foreach (var method in typeof(QmpCommands).GetMethods(BindingFlags.Public | BindingFlags.Static))
        {
            dynamic command = method.Invoke(null, [.. method.GetParameters().Select(Sample)])!;
            yield return (command.Name, command.Arguments);
        }

        foreach (var backend in (NicBackend[])[new TapNic(3), new UnconnectedNic()])
            yield return Plain(QmpCommands.NetdevAdd(QemuDevices.Netdev(new NicConfig("nic0", "52:54:00:00:00:01", backend))));
        yield return Plain(QmpCommands.BlockdevAdd(QemuDevices.BlockNode("n", new PlaceholderDisk(1 << 20, ReadOnly: true))));
        foreach (var format in Hull.Hypervisor.Disks.DiskImage.Formats)
            yield return Plain(QmpCommands.BlockdevAdd(QemuDevices.BlockNode("n", new ImageDisk("/x", format, ReadOnly: true))));
    }

    private static (string, QemuProperties?) Plain(QmpCommand<QmpVoid> command) => (command.Name, command.Arguments);

    private static object? Sample(ParameterInfo parameter) => Samples.TryGetValue(parameter.Name!, out var sample) && parameter.ParameterType.IsInstanceOfType(sample) ? sample
        : parameter.ParameterType == typeof(string) ? "x"
        : parameter.ParameterType == typeof(bool) ? true
        : Nullable.GetUnderlyingType(parameter.ParameterType) is not null || parameter.ParameterType == typeof(long) ? 1L
        : throw new NotSupportedException($"no sample for {parameter.Member.Name}({parameter.ParameterType} {parameter.Name})");

    /// <summary>QEMU's own description of its monitor: docs/devel/qapi-code-gen.rst, "Client JSON Protocol introspection".</summary>
    private sealed class Schema(JsonElement entries)
    {
        private readonly Dictionary<string, JsonElement> _byName = entries.EnumerateArray().ToDictionary(entry => entry.GetProperty("name").GetString()!);

        public static async Task<Schema> OfAsync(string architecture)
        {
            var hypervisor = await QemuHypervisor.DetectAsync(architecture, Path.Combine(Repository.Root, "out", "cache"));
            await using var machine = await hypervisor.LaunchQemuAsync(
                new VirtualMachineConfig { Id = "schema-" + architecture, Architecture = architecture, MemoryBytes = 32 << 20, Boot = new FirmwareBoot(), Balloon = false }, new LaunchOptions());
            return new Schema(await machine.Qmp.ExecuteAsync(QmpCommands.QuerySchema()));
        }

        public List<string> Check(string command, QemuProperties? arguments)
        {
            if (!_byName.TryGetValue(command, out var entry) || entry.GetProperty("meta-type").GetString() != "command") return [$"there is no command {command}"];
            var problems = new List<string>();
            using var json = JsonDocument.Parse((arguments ?? new QemuProperties()).ToJson());
            CheckValue(entry.GetProperty("arg-type").GetString()!, json.RootElement, command, problems);
            return problems;
        }

        private void CheckValue(string type, JsonElement value, string path, List<string> problems)
        {
            var entry = _byName[type];
            switch (entry.GetProperty("meta-type").GetString())
            {
                // device_add takes the properties of any device, which the schema does not know.
                case "object" when path != "device_add": CheckObject(entry, value, path, problems); break;
                case "array":
                    foreach (var element in value.EnumerateArray()) CheckValue(entry.GetProperty("element-type").GetString()!, element, path + "[]", problems);
                    break;
                case "enum":
                    if (!entry.GetProperty("values").EnumerateArray().Any(word => word.GetString() == value.GetString())) problems.Add($"{path}: '{value}' is no word of it");
                    break;
                case "alternate":
                    var tries = entry.GetProperty("members").EnumerateArray().Select(member =>
                    {
                        var found = new List<string>();
                        if (Fits(member.GetProperty("type").GetString()!, value)) CheckValue(member.GetProperty("type").GetString()!, value, path, found);
                        else found.Add($"{path}: {value} is of no type it takes");
                        return found;
                    }).ToList();
                    if (tries.All(found => found.Count > 0)) problems.AddRange(tries.MaxBy(found => found.Count)!);
                    break;
            }
        }

        private bool Fits(string type, JsonElement value) => _byName[type].GetProperty("meta-type").GetString() switch
        {
            "object" => value.ValueKind == JsonValueKind.Object,
            "builtin" => _byName[type].GetProperty("json-type").GetString() switch
            {
                "string" => value.ValueKind == JsonValueKind.String,
                "null" => value.ValueKind == JsonValueKind.Null,
                "int" or "number" => value.ValueKind == JsonValueKind.Number,
                "boolean" => value.ValueKind is JsonValueKind.True or JsonValueKind.False,
                _ => true,
            },
            "enum" => value.ValueKind == JsonValueKind.String,
            _ => true,
        };

        private void CheckObject(JsonElement entry, JsonElement value, string path, List<string> problems)
        {
            var members = entry.GetProperty("members").EnumerateArray().ToDictionary(member => member.GetProperty("name").GetString()!);
            if (entry.TryGetProperty("tag", out var tag) && value.TryGetProperty(tag.GetString()!, out var chosen))
            {
                var variant = entry.GetProperty("variants").EnumerateArray().FirstOrDefault(one => one.GetProperty("case").GetString() == chosen.GetString());
                if (variant.ValueKind != JsonValueKind.Undefined)
                    foreach (var member in _byName[variant.GetProperty("type").GetString()!].GetProperty("members").EnumerateArray()) members[member.GetProperty("name").GetString()!] = member;
            }

            foreach (var property in value.EnumerateObject())
            {
                if (members.TryGetValue(property.Name, out var member)) CheckValue(member.GetProperty("type").GetString()!, property.Value, $"{path}.{property.Name}", problems);
                else problems.Add($"{path} has no member '{property.Name}'");
            }

            foreach (var (name, member) in members)
                if (!member.TryGetProperty("default", out _) && !value.TryGetProperty(name, out _)) problems.Add($"{path} lacks its member '{name}'");
        }
    }
}
