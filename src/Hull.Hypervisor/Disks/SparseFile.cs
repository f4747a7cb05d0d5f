using Hull.Linux;
using Hull.Linux.Abi;
using Hull.Linux.Syscalls;

namespace Hull.Hypervisor.Disks;

/// <summary>Copies files that are mostly holes by their data alone (lseek(2), SEEK_DATA).</summary>
public static class SparseFile
{
    private const int SEEK_DATA = 3;
    private const int SEEK_HOLE = 4;
    private const int BufferSize = 1 << 20;

    /// <summary>Copies a file to a new one, replacing what is there.</summary>
    public static void Copy(string from, string to)
    {
        using var source = Check.Descriptor(FileCalls.OpenAt(Fcntl.AT_FDCWD, from, Fcntl.O_RDONLY), $"open {from}");
        using var target = Create(to);
        Copy(source, target, new FileInfo(from).Length);
    }

    /// <summary>A new, empty file for the owner alone, in place of what is there.</summary>
    public static SafeFd Create(string path)
    {
        File.Delete(path);
        return Check.Descriptor(
            FileCalls.OpenAt(Fcntl.AT_FDCWD, path, Fcntl.O_RDWR | Fcntl.O_CREAT | Fcntl.O_EXCL, 0x180), $"create {path}");
    }

    /// <summary>Makes an empty file the same as an open one; works between different kinds of file systems.</summary>
    public static void Copy(SafeFd source, SafeFd target, long length)
    {
        Check.Result(FileCalls.Truncate(target.Value, length), $"size {target} to {length} bytes");
        var buffer = new byte[BufferSize];
        for (var data = FileCalls.Seek(source.Value, 0, SEEK_DATA); data >= 0;)
        {
            var hole = Check.Result(FileCalls.Seek(source.Value, data, SEEK_HOLE), $"find holes of {source}");
            while (data < hole)
            {
                var wanted = (int)Math.Min(buffer.Length, hole - data);
                var count = Check.Result(FileCalls.ReadAt(source.Value, buffer.AsSpan(0, wanted), data), $"read {source}");
                if (count == 0) throw HullException.Corrupted($"{source} became shorter while it was copied");
                for (var written = 0; written < count;)
                {
                    written += (int)Check.Result(
                        FileCalls.WriteAt(target.Value, buffer.AsSpan(written, (int)count - written), data + written), $"write {target}");
                }

                data += count;
            }

            data = FileCalls.Seek(source.Value, hole, SEEK_DATA);
        }
    }
}
