using System.Buffers.Binary;
using Hull.Linux.Syscalls;

namespace Hull.Linux.Files;

/// <summary>One name in a directory; <see cref="Kind"/> is Unknown on file systems that do not tell.</summary>
public readonly record struct DirectoryEntry(string Name, FileKind Kind, ulong Inode);

/// <summary>Reads directories by descriptor with getdents64(2).</summary>
public static class DirectoryReader
{
    /// <summary>All entries but <c>.</c> and <c>..</c>, from the descriptor's current position, in the kernel's order.</summary>
    public static List<DirectoryEntry> ReadAll(SafeFd directory, string? name = null)
    {
        var entries = new List<DirectoryEntry>();
        Span<byte> buffer = stackalloc byte[16384];
        while (true)
        {
            var length = (int)Check.Result(FileCalls.GetDents(directory.Value, buffer), $"list {name ?? directory.ToString()}");
            if (length == 0) return entries;
            for (ReadOnlySpan<byte> rest = buffer[..length]; !rest.IsEmpty;)
            {
                // struct linux_dirent64: u64 d_ino, s64 d_off, u16 d_reclen, u8 d_type, char d_name[].
                var size = BinaryPrimitives.ReadUInt16LittleEndian(rest[16..]);
                var text = rest[19..size];
                text = text[..text.IndexOf((byte)0)];
                if (!text.SequenceEqual("."u8) && !text.SequenceEqual(".."u8))
                {
                    entries.Add(new DirectoryEntry(NativeText.Decode(text), FileStatus.KindOf((uint)rest[18] << 12),
                        BinaryPrimitives.ReadUInt64LittleEndian(rest)));
                }

                rest = rest[size..];
            }
        }
    }
}
