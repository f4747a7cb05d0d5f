using Hull.Testing;

namespace Hull.RegistryClients.Tests;

/// <summary>A tree with everything an image may hold, and the listing by which two copies of it are compared.</summary>
internal static class SpecialTree
{
    /// <summary>Writes the tree as a tar archive.</summary>
    public static void Archive(string tar) => Shell($"""
        mkdir {tar}.d && cd {tar}.d && mkdir -p sub/deep && echo hello > file && ln file hard && ln -s file soft && ln -s /no/where dangling
        cp /bin/true suid && chmod 4755 suid && chown 1234:4321 sub/deep && chmod 1777 sub && touch -d @1000000000 file && touch -h -d @1100000000 soft
        setfattr -n user.colour -v blue file; setcap cap_net_raw+ep suid || true; mkfifo pipe; mknod device c 1 3; truncate -s 1M sparse
        find . -newermt 2020-01-01 -print0 | xargs -0 touch -h -d @1200000000.5
        tar --xattrs --xattrs-include='*' --numeric-owner --format=pax -cf {tar} .
        """);

    /// <summary>One line per file with all that must be the same; the root's own time is the unpacker's.</summary>
    public static string List(string directory) => Shell("""
        cd "$1" && find . -mindepth 1 \( -type f -printf '%p %y %m %U:%G %s %T@ %n\n' -o -type l -printf '%p %y %U:%G %T@ %l\n' -o -printf '%p %y %m %U:%G %T@\n' \) | sort
        find . \( -type b -o -type c \) -exec stat -c '%n device %t:%T' {} +
        find . -type f -links +1 -printf '%i %p\n' | sort | awk '{ if ($1 == last) print name " is " $2; last = $1; name = $2 }'
        getfattr -hRd -m - --absolute-names . 2> /dev/null | sort
        """, directory);

    public static string Shell(string script, params string[] arguments) =>
        Command.Run("/bin/sh", ["-ec", script, "sh", .. arguments], null, TimeSpan.FromMinutes(3)).Ok().Output;
}
