using System.Globalization;
using System.Text;
using Hull.Core;
using Hull.Linux.Files;
using Hull.Oci.Runtime;

namespace Hull.Engine.Users;

/// <summary>A range of ids of the host.</summary>
internal readonly record struct HostRange(uint Start, uint Count)
{
    public ulong End => (ulong)Start + Count;
}

/// <summary>
/// The files <c>/etc/subuid</c> and <c>/etc/subgid</c> (subuid(5)), by which the tools of a machine tell one another whose
/// ranges of ids are whose. They are read, and added to where an operator asks for the range that Docker makes by itself.
/// </summary>
public sealed class SubordinateIds(string usersPath = "/etc/subuid", string groupsPath = "/etc/subgid", string accounts = "/etc")
{
    private const int MaximumFile = 16 << 20;

    /// <summary>The user of <c>userns-remap=default</c>, with dockerd and here.</summary>
    public const string DefaultUser = "dockremap";

    private const uint FirstFree = 100_000;

    /// <summary>
    /// The mapping of <c>userns-remap</c>: <c>default</c>, <c>user</c> or <c>user:group</c>, by name or number. All ranges of
    /// the user, one after the other from 0 on, as dockerd has it.
    /// </summary>
    /// <param name="reserve">Whether the files may be added to; otherwise a default that has no range yet is null.</param>
    public UserMap? Remap(string setting, bool reserve = true)
    {
        if (setting == "default")
        {
            if (!reserve && new[] { usersPath, groupsPath }.Any(path => Parse(Read(path), DefaultUser, DefaultUser).Count == 0)) return null;
            Reserve(usersPath, DefaultUser);
            Reserve(groupsPath, DefaultUser);
            setting = DefaultUser;
        }

        var parts = setting.Split(':');
        if (parts.Length > 2 || parts.Any(part => part.Length == 0))
            throw HullException.Invalid($"invalid value '{setting}' for userns-remap: expected default, user or user:group");
        return new UserMap(Concatenate(Require(usersPath, "passwd", parts[0])), Concatenate(Require(groupsPath, "group", parts[^1])));
    }

    /// <summary>Ranges of users for workloads that want their own; throws <see cref="ErrorKind.Unsupported"/> where nobody set any aside.</summary>
    internal IReadOnlyList<HostRange> Users(string name) => Require(usersPath, "passwd", name);

    internal IReadOnlyList<HostRange> Groups(string name) => Require(groupsPath, "group", name);

    internal static List<HostRange> Parse(string text, string name, string number)
    {
        var ranges = new List<HostRange>();
        foreach (var line in text.Split('\n'))
        {
            var parts = line.Trim().Split(':');
            if (parts.Length != 3 || (parts[0] != name && parts[0] != number)) continue;
            if (uint.TryParse(parts[1], NumberStyles.None, CultureInfo.InvariantCulture, out var start)
                && uint.TryParse(parts[2], NumberStyles.None, CultureInfo.InvariantCulture, out var count)
                && count > 0 && (ulong)start + count <= uint.MaxValue) ranges.Add(new HostRange(start, count));
        }

        return [.. ranges.Distinct()];
    }

    private static List<IdMapping> Concatenate(IReadOnlyList<HostRange> ranges)
    {
        var mappings = new List<IdMapping>();
        uint inside = 0;
        foreach (var range in ranges)
        {
            mappings.Add(new IdMapping { ContainerId = inside, HostId = range.Start, Size = range.Count });
            inside += range.Count;
        }

        return mappings;
    }

    private List<HostRange> Require(string path, string database, string name)
    {
        var ranges = Parse(Read(path), NameOf(database, name), NumberOf(database, name));
        if (ranges.Count > 0) return ranges;
        throw HullException.Unsupported(
            $"no range of ids is set aside for '{name}' in {path}: add a line such as '{name}:{NextFree(Read(path))}:{(name == EngineOptions.AutoUser ? 1048576 : 65536)}'");
    }

    /// <summary>Dockerd makes the entry of its default user itself; other tools, which read the file, then leave the range alone.</summary>
    private static void Reserve(string path, string name)
    {
        var text = Read(path);
        if (Parse(text, name, name).Count > 0) return;
        var line = string.Create(CultureInfo.InvariantCulture, $"{name}:{NextFree(text)}:{UserNamespaceMode.DefaultSize}\n");
        // Appended, so that nothing another tool writes at this moment is lost.
        File.AppendAllText(path, text.Length == 0 || text.EndsWith('\n') ? line : "\n" + line);
    }

    /// <summary>Beyond everybody's ranges.</summary>
    private static ulong NextFree(string text)
    {
        ulong free = FirstFree;
        foreach (var line in text.Split('\n'))
        {
            var parts = line.Trim().Split(':');
            if (parts.Length == 3 && ulong.TryParse(parts[1], CultureInfo.InvariantCulture, out var start)
                && ulong.TryParse(parts[2], CultureInfo.InvariantCulture, out var count)) free = Math.Max(free, start + count);
        }

        return free;
    }

    private static string Read(string path) => File.Exists(path) ? Encoding.UTF8.GetString(AtomicFile.Read(path, MaximumFile)) : "";

    private string NumberOf(string database, string name) => name.All(char.IsAsciiDigit) ? name : Account(database, 0, name)?[2] ?? name;

    private string NameOf(string database, string name) => name.All(char.IsAsciiDigit) ? Account(database, 2, name)?[0] ?? name : name;

    private string[]? Account(string database, int field, string value) =>
        Read(Path.Combine(accounts, database)).Split('\n').Select(line => line.Split(':')).FirstOrDefault(parts => parts.Length > 2 && parts[field] == value);
}
