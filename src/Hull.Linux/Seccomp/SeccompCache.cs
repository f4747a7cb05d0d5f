using System.Buffers.Binary;
using System.Text;
using Hull.Linux.Abi;
using Hull.Linux.Syscalls;

namespace Hull.Linux.Seccomp;

/// <summary>
/// Compiled filters in a directory of this user's own. A file is named by a digest of the policy and holds the whole policy
/// beside the program: it counts only where every byte of the policy agrees, so the digest need not resist an attacker.
/// Nothing here may fail a container: what cannot be read or written is compiled anew.
/// </summary>
internal sealed class SeccompCache(string directory)
{
    private const int FormatVersion = 1;
    private const uint DirectoryMode = 0x1C0; // 0700
    private const uint FileMode = 0x180; // 0600
    private static readonly string[] LibraryPlaces =
    [
        "/usr/lib/x86_64-linux-gnu/libseccomp.so.2", "/usr/lib/aarch64-linux-gnu/libseccomp.so.2", "/usr/lib64/libseccomp.so.2",
        "/usr/lib/libseccomp.so.2",
    ];

    /// <summary>The policy as bytes, and what else decides the program: the format and the library.</summary>
    internal static byte[] KeyOf(SeccompPolicy policy)
    {
        using var memory = new MemoryStream(8192);
        using (var writer = new BinaryWriter(memory, Encoding.UTF8, leaveOpen: true))
        {
            writer.Write(FormatVersion);
            writer.Write(LibraryStamp());
            writer.Write((int)policy.DefaultAction);
            writer.Write((long?)policy.DefaultErrno ?? -1);
            writer.Write(policy.Architectures.Count);
            foreach (var architecture in policy.Architectures) writer.Write(architecture);
            writer.Write(policy.Rules.Count);
            foreach (var rule in policy.Rules) Write(writer, rule);
        }

        return memory.ToArray();
    }

    private static void Write(BinaryWriter writer, SeccompRule rule)
    {
        writer.Write((int)rule.Action);
        writer.Write((long?)rule.Errno ?? -1);
        writer.Write(rule.Names.Count);
        foreach (var name in rule.Names) writer.Write(name);
        writer.Write(rule.Arguments.Count);
        foreach (var argument in rule.Arguments)
        {
            writer.Write(argument.Index);
            writer.Write(argument.Value);
            writer.Write(argument.ValueTwo);
            writer.Write((int)argument.Operator);
        }
    }

    /// <summary>Changes when libseccomp is upgraded, without loading it.</summary>
    private static string LibraryStamp()
    {
        foreach (var place in LibraryPlaces)
        {
            if (MetadataCalls.Statx(Fcntl.AT_FDCWD, place, 0, 0x7ff, out var status) >= 0)
            {
                return $"{status.stx_mtime.tv_sec}.{status.stx_size}.{status.stx_ino}";
            }
        }

        return "";
    }

    internal byte[]? Find(byte[] key)
    {
        var descriptor = FileCalls.OpenAt(Fcntl.AT_FDCWD, PathOf(key), Fcntl.O_RDONLY | Fcntl.O_NOFOLLOW);
        if (descriptor < 0) return null;
        using var file = new SafeFd((int)descriptor);
        if (MetadataCalls.Statx(file.Value, "", Fcntl.AT_EMPTY_PATH, 0x7ff, out var status) < 0) return null;
        const int WritableByOthers = 0x12; // 0022
        if (status.stx_uid != ProcessCalls.GetEffectiveUser() || (status.stx_mode & WritableByOthers) != 0) return null;
        var size = (int)Math.Min(status.stx_size, 16 << 20);
        var begin = key.Length + sizeof(int);
        if (size <= begin) return null;
        var content = new byte[size];
        for (var read = 0; read < size;)
        {
            var count = FileCalls.ReadAt(file.Value, content.AsSpan(read), read);
            if (count <= 0) return null;
            read += (int)count;
        }

        var isWhole = BinaryPrimitives.ReadInt32LittleEndian(content) == size;
        return isWhole && content.AsSpan(sizeof(int), key.Length).SequenceEqual(key) ? content[begin..] : null;
    }

    internal void Store(byte[] key, byte[] program)
    {
        MakeDirectory(directory);
        var path = PathOf(key);
        var temporary = $"{path}.{ProcessCalls.GetTid()}";
        var descriptor = FileCalls.OpenAt(Fcntl.AT_FDCWD, temporary, Fcntl.O_WRONLY | Fcntl.O_CREAT | Fcntl.O_EXCL, FileMode);
        if (descriptor < 0) return;
        using var file = new SafeFd((int)descriptor);
        byte[] content = [0, 0, 0, 0, .. key, .. program];
        BinaryPrimitives.WriteInt32LittleEndian(content, content.Length);
        // No fsync: a file that is not as long as it says does not count and is made again.
        var isWhole = FileCalls.Write(file.Value, content) == content.Length;
        if (!isWhole || FileCalls.RenameAt2(Fcntl.AT_FDCWD, temporary, Fcntl.AT_FDCWD, path) < 0)
        {
            FileCalls.UnlinkAt(Fcntl.AT_FDCWD, temporary);
        }
    }

    private static void MakeDirectory(string path)
    {
        if (FileCalls.MkdirAt(Fcntl.AT_FDCWD, path, DirectoryMode) != -(nint)Errno.ENOENT) return;
        var slash = path.LastIndexOf('/');
        if (slash <= 0) return;
        MakeDirectory(path[..slash]);
        FileCalls.MkdirAt(Fcntl.AT_FDCWD, path, DirectoryMode);
    }

    private string PathOf(byte[] key)
    {
        // FNV-1a, 64 bits.
        var hash = 14695981039346656037UL;
        foreach (var value in key) hash = (hash ^ value) * 1099511628211UL;
        return $"{directory}/{hash:x16}";
    }
}
