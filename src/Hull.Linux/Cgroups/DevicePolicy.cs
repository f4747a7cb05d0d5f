using Hull.Core;

namespace Hull.Linux.Cgroups;

/// <summary>
/// A device policy in normal form: a verdict for every device, and exceptions to it. Rules are folded in one after the other
/// the way the v1 controller does it (security/device_cgroup.c), so that v1 files and the v2 program mean the same.
/// </summary>
internal sealed class DevicePolicy
{
    private readonly Dictionary<DeviceKey, DeviceAccess> _exceptions = [];

    /// <summary>The verdict where no exception matches.</summary>
    internal bool AllowsByDefault { get; private set; }

    internal IReadOnlyDictionary<DeviceKey, DeviceAccess> Exceptions => _exceptions;

    /// <summary>Folds rules over "deny all".</summary>
    internal static DevicePolicy Of(IEnumerable<DeviceRule> rules)
    {
        var policy = new DevicePolicy();
        foreach (var rule in rules) policy.Add(rule);
        return policy;
    }

    /// <summary>
    /// What devices.list says. The kernel prints a policy that allows by default as one line without its exceptions.
    /// </summary>
    internal static DevicePolicy ParseList(string list)
    {
        var policy = new DevicePolicy();
        foreach (var line in list.Split('\n', StringSplitOptions.RemoveEmptyEntries))
        {
            var fields = line.Split([' ', ':']);
            if (fields.Length != 4) throw HullException.Corrupted($"devices.list has the line '{line}'");
            if (fields[0] == "a")
            {
                policy.AllowsByDefault = true;
                policy._exceptions.Clear();
                continue;
            }

            policy._exceptions[new DeviceKey((DeviceKind)fields[0][0], NumberOf(fields[1]), NumberOf(fields[2]))] =
                ParseAccess(fields[3]);
        }

        return policy;
    }

    internal static DeviceAccess ParseAccess(string text)
    {
        var access = DeviceAccess.None;
        foreach (var letter in text)
        {
            access |= letter switch
            {
                'r' => DeviceAccess.Read,
                'w' => DeviceAccess.Write,
                'm' => DeviceAccess.MakeNode,
                _ => throw HullException.Invalid($"device access '{text}' has the letter '{letter}': use r, w and m"),
            };
        }

        return access;
    }

    internal static string Text(DeviceAccess access) =>
        ((access & DeviceAccess.Read) != 0 ? "r" : "")
        + ((access & DeviceAccess.Write) != 0 ? "w" : "")
        + ((access & DeviceAccess.MakeNode) != 0 ? "m" : "");

    private void Add(DeviceRule rule)
    {
        // A rule for every device of both kinds is a new beginning, whatever numbers or access it names.
        if (rule.Kind == DeviceKind.All)
        {
            AllowsByDefault = rule.Allow;
            _exceptions.Clear();
            return;
        }

        var key = new DeviceKey(rule.Kind, rule.Major, rule.Minor);
        if (rule.Allow != AllowsByDefault) _exceptions[key] = _exceptions.GetValueOrDefault(key) | rule.Access;
        else Except(key, rule.Access);
    }

    /// <summary>Takes access away from exceptions that say the opposite of a rule.</summary>
    private void Except(DeviceKey key, DeviceAccess access)
    {
        foreach (var (other, others) in _exceptions.ToArray())
        {
            if (key.Covers(other))
            {
                var left = others & ~access;
                if (left == DeviceAccess.None) _exceptions.Remove(other);
                else _exceptions[other] = left;
            }
            else if (other.Covers(key) && (others & access) != 0)
            {
                throw HullException.Unsupported(
                    $"device rule {key} is a hole in the wider exception {other}, which device control groups cannot express");
            }
        }
    }

    private static long? NumberOf(string text) => text == "*" ? null : (long)Number.Parse(text);
}

/// <summary>The devices a rule speaks of; null numbers are wildcards.</summary>
internal readonly record struct DeviceKey(DeviceKind Kind, long? Major, long? Minor)
{
    internal bool Covers(DeviceKey other) =>
        Kind == other.Kind && (Major is null || Major == other.Major) && (Minor is null || Minor == other.Minor);

    public override string ToString() => $"{(char)Kind} {Text(Major)}:{Text(Minor)}";

    private static string Text(long? number) => number is { } value ? Number.Text(value) : "*";
}
