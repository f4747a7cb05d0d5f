using System.Globalization;
using Hull.Core;

namespace Hull.Api.Http;

/// <summary>A version of the Docker Engine API, such as 1.51.</summary>
public readonly record struct ApiVersion(int Major, int Minor) : IComparable<ApiVersion>
{
    /// <summary>The newest that is spoken: what the docker CLI 28 speaks.</summary>
    public static ApiVersion Newest { get; } = new(1, 51);

    /// <summary>The oldest that is advertised.</summary>
    public static ApiVersion Oldest { get; } = new(1, 24);

    /// <summary>
    /// The oldest that is let in: Debian 12's skopeo and buildah ask for 1.22, docker-compose 1 files of the first
    /// format for 1.21, and nothing they use has changed since.
    /// </summary>
    public static ApiVersion Accepted { get; } = new(1, 21);

    public static bool operator <(ApiVersion left, ApiVersion right) => left.CompareTo(right) < 0;

    public static bool operator >(ApiVersion left, ApiVersion right) => left.CompareTo(right) > 0;

    public static bool operator <=(ApiVersion left, ApiVersion right) => left.CompareTo(right) <= 0;

    public static bool operator >=(ApiVersion left, ApiVersion right) => left.CompareTo(right) >= 0;

    public int CompareTo(ApiVersion other) => (Major, Minor).CompareTo((other.Major, other.Minor));

    /// <summary>Whether it is at least 1.<paramref name="minor"/>.</summary>
    public bool IsAtLeast(int minor) => this >= new ApiVersion(1, minor);

    public static bool TryParse(ReadOnlySpan<char> text, out ApiVersion version)
    {
        version = default;
        var dot = text.IndexOf('.');
        if (dot <= 0 || text.Length > 12
            || !int.TryParse(text[..dot], NumberStyles.None, CultureInfo.InvariantCulture, out var major)
            || !int.TryParse(text[(dot + 1)..], NumberStyles.None, CultureInfo.InvariantCulture, out var minor)) return false;
        version = new ApiVersion(major, minor);
        return true;
    }

    /// <summary>
    /// Takes a leading <c>/v1.NN</c> off a path. Throws <see cref="ErrorKind.InvalidArgument"/>, in the words
    /// clients look for, where it is out of bounds.
    /// </summary>
    public static (ApiVersion Version, string Path) Split(string path)
    {
        var rest = path.AsSpan().Trim('/');
        if (rest.Length > 1 && rest[0] == 'v' && char.IsAsciiDigit(rest[1]))
        {
            var slash = rest.IndexOf('/');
            var first = slash < 0 ? rest : rest[..slash];
            if (TryParse(first[1..], out var version))
            {
                version.Check();
                return (version, slash < 0 ? "" : rest[(slash + 1)..].ToString());
            }
        }

        return (Newest, rest.ToString());
    }

    public override string ToString() => $"{Major}.{Minor}";

    private void Check()
    {
        if (this > Newest)
            throw HullException.Invalid($"client version {this} is too new. Maximum supported API version is {Newest}");
        if (this < Accepted)
            throw HullException.Invalid($"client version {this} is too old. Minimum supported API version is {Oldest}, please upgrade your client to a newer version");
    }
}
