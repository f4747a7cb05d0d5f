using System.Globalization;
using System.Text;
using Hull.Core;
using Hull.Linux.Files;
using Hull.Oci.Runtime;

namespace Hull.Engine.Drivers.Container;

/// <summary>A user of a root file system: ids, further groups, and home directory.</summary>
internal readonly record struct Account(uint User, uint Group, IReadOnlyList<uint> Groups, string Home)
{
    public UserSpec ToSpec(uint? umask) => new() { Uid = User, Gid = Group, AdditionalGids = Groups.Count == 0 ? null : Groups, Umask = umask };
}

/// <summary>
/// Looks users up in a root file system's own <c>/etc/passwd</c> and <c>/etc/group</c>. The files are an image's: they are
/// read by descriptor below the root, up to a bound, and lines that make no sense are passed over. No name service of the
/// host is asked.
/// </summary>
internal static class Accounts
{
    private const int MaxFile = 10 << 20;

    /// <summary>
    /// <paramref name="user"/> is a name or id, or <c>user:group</c>; empty is root. Throws
    /// <see cref="ErrorKind.InvalidArgument"/> for a name that does not exist and for ids out of range.
    /// </summary>
    public static Account Resolve(RootDirectory root, string user, IReadOnlyList<string> additionalGroups)
    {
        var colon = user.IndexOf(':');
        var name = colon < 0 ? user : user[..colon];
        var groupName = colon < 0 ? "" : user[(colon + 1)..];
        if (name.Length == 0) name = "0";

        var passwd = Lines(root, "/etc/passwd", 7);
        var groups = Lines(root, "/etc/group", 4);
        var byId = ParseId(name, "user");
        // A name made of digits is an id first only when no account bears it as its name.
        var entry = passwd.Find(line => line[0] == name) ?? (byId is { } id ? passwd.Find(line => Id(line[2]) == id) : null);
        if (entry is null && byId is null)
            throw HullException.Invalid($"no user '{name}' in /etc/passwd of the image: use a numeric id or a user that exists");

        var userId = entry is not null && Id(entry[2]) is { } known ? known : byId ?? 0;
        uint groupId = entry is not null && Id(entry[3]) is { } primary ? primary : 0;
        List<uint> further = [];
        if (groupName.Length > 0) groupId = GroupId(groups, groupName);
        else if (entry is not null) further = groups.Where(line => line[3].Split(',').Contains(entry[0])).Select(line => Id(line[2])).OfType<uint>().ToList();
        foreach (var extra in additionalGroups) further.Add(GroupId(groups, extra));
        var home = entry is { Length: > 5 } && entry[5].StartsWith('/') ? entry[5] : userId == 0 ? "/root" : "/";
        return new Account(userId, groupId, [.. further.Distinct().Where(group => group != groupId || further.Count > 1)], home);
    }

    /// <summary>The environment with HOME, unless it is there.</summary>
    public static IReadOnlyList<string> WithHome(IReadOnlyList<string> environment, string home) =>
        environment.Any(variable => variable.StartsWith("HOME=", StringComparison.Ordinal)) ? environment : [.. environment, "HOME=" + home];

    public static string HomeOf(IReadOnlyList<string>? environment) =>
        environment?.FirstOrDefault(variable => variable.StartsWith("HOME=", StringComparison.Ordinal)) is { } found ? found[5..] : "/";

    /// <summary>
    /// An unprivileged user has the bounding set only: what it may gain by set-user-ID programs. Inheritable sets stay empty
    /// (CVE-2022-24769).
    /// </summary>
    public static CapabilitiesSpec? CapabilitiesFor(CapabilitiesSpec? capabilities, uint user) =>
        capabilities is null || user == 0 ? capabilities : capabilities with { Effective = null, Permitted = null, Ambient = null };

    private static uint GroupId(List<string[]> groups, string name)
    {
        var line = groups.Find(group => group[0] == name);
        if (line is not null && Id(line[2]) is { } found) return found;
        return ParseId(name, "group")
            ?? throw HullException.Invalid($"no group '{name}' in /etc/group of the image: use a numeric id or a group that exists");
    }

    /// <summary>A number, or null for a name; a number that is no id is refused.</summary>
    private static uint? ParseId(string text, string what)
    {
        if (text.Length == 0 || !text.All(char.IsAsciiDigit)) return null;
        return Id(text) ?? throw HullException.Invalid($"{what} id {text} is out of range: 0 to {int.MaxValue}");
    }

    /// <summary>Ids above 2^31 are -1 and its neighbours, which setuid(2) takes as "leave alone".</summary>
    private static uint? Id(string text) =>
        uint.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out var id) && id <= int.MaxValue ? id : null;

    private static List<string[]> Lines(RootDirectory root, string path, int fields)
    {
        byte[]? content;
        try
        {
            content = root.TryReadAllBytes(path, MaxFile);
        }
        catch (HullException error)
        {
            throw HullException.Invalid($"cannot read {path} of the image", error);
        }

        if (content is null) return [];
        return Encoding.UTF8.GetString(content).Split('\n').Select(line => line.Split(':')).Where(parts => parts.Length >= fields).ToList();
    }
}
