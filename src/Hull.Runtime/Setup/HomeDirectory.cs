using System.Text;
using Hull.Core;
using Hull.Linux;
using Hull.Linux.Files;

namespace Hull.Runtime.Setup;

/// <summary>The home directory of a user by the image's /etc/passwd, for a process without HOME.</summary>
internal static class HomeDirectory
{
    /// <summary>More than any real one; the image must not make us read what it likes.</summary>
    private const int MaxSize = 10 << 20;

    internal static string? Find(string rootfs, uint user) => Find(() => RootDirectory.Open(rootfs), user);

    internal static string? Find(SafeFd root, uint user) => Find(() => RootDirectory.FromDescriptor(root.Duplicate(), "the container's root"), user);

    private static string? Find(Func<RootDirectory> open, uint user)
    {
        try
        {
            using var root = open();
            return root.TryReadAllBytes("etc/passwd", MaxSize) is { } content ? Find(content, user) : null;
        }
        catch (HullException)
        {
            // HOME is a courtesy; an image with a strange /etc/passwd has none.
            return null;
        }
    }

    internal static string? Find(ReadOnlySpan<byte> passwd, uint user)
    {
        foreach (var range in passwd.Split((byte)'\n'))
        {
            var fields = Encoding.UTF8.GetString(passwd[range]).Split(':');
            if (fields.Length == 7 && uint.TryParse(fields[2], out var id) && id == user && fields[5].StartsWith('/')) return fields[5];
        }

        return null;
    }
}
