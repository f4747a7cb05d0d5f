using System.Text.Json;
using System.Text.Json.Serialization.Metadata;
using Hull.Core;
using Hull.Linux.Abi;
using Hull.Linux.Syscalls;
using static Hull.Linux.Abi.Fcntl;

namespace Hull.Linux.Files;

/// <summary>
/// Small files of the state directory. A reader sees the old content or the new, never a part, whatever dies when:
/// the content goes to a temporary file, is flushed, and takes the name by rename(2); then the directory is flushed.
/// </summary>
public static class AtomicFile
{
    /// <summary>The most a state file may hold; more is a sign of damage.</summary>
    public const int MaxSize = 64 << 20;

    /// <summary>Replaces or creates <paramref name="path"/>; <paramref name="durable"/> false leaves out the flushes, for files of a tmpfs.</summary>
    public static void Write(string path, ReadOnlySpan<byte> content, uint mode = 0x180 /* 0600 */, bool durable = true)
    {
        var slash = path.LastIndexOf('/');
        using var directory = Check.Descriptor(
            FileCalls.OpenAt(AT_FDCWD, slash switch { < 0 => ".", 0 => "/", _ => path[..slash] }, O_RDONLY | O_DIRECTORY),
            $"open the directory of {path}");
        Write(directory, path[(slash + 1)..], content, mode, durable);
    }

    /// <summary>Replaces or creates the file <paramref name="name"/> in an open directory.</summary>
    public static void Write(SafeFd directory, string name, ReadOnlySpan<byte> content, uint mode = 0x180, bool durable = true)
    {
        PathName.RequireSingle(name);
        var temporary = $".{name}.{Random.Shared.NextInt64():x16}";
        try
        {
            using (var file = Check.Descriptor(
                       FileCalls.OpenAt(directory.Value, temporary, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, mode), $"create {name}"))
            {
                // The mode at creation passed the umask; the caller's is meant exactly.
                Check.Result(MetadataCalls.Fchmod(file.Value, mode), $"set the mode of {name}");
                file.WriteAll(content, name);
                if (durable) Check.Result(FileCalls.Fsync(file.Value), $"flush {name}");
            }

            Check.Result(FileCalls.RenameAt2(directory.Value, temporary, directory.Value, name), $"put {name} in place");
        }
        catch
        {
            _ = FileCalls.UnlinkAt(directory.Value, temporary);
            throw;
        }

        if (durable) Check.Result(FileCalls.Fsync(directory.Value), $"flush the directory of {name}");
    }

    /// <summary>
    /// Writes over an existing file in place, in one write(2), padded with blanks to its old length. For text on a full disk:
    /// it needs no new block while the content fits into those the file has. A kill loses nothing; a power failure may.
    /// </summary>
    public static void Overwrite(string path, ReadOnlySpan<byte> content)
    {
        using var file = Check.Descriptor(FileCalls.OpenAt(AT_FDCWD, path, O_WRONLY | O_NOFOLLOW), $"open {path}");
        var padded = new byte[Math.Max(content.Length, (int)Math.Min(MaxSize, new FileInfo(path).Length))];
        padded.AsSpan().Fill((byte)' ');
        content.CopyTo(padded);
        file.WriteAll(padded, path);
    }

    public static void WriteJson<T>(string path, T value, JsonTypeInfo<T> type, uint mode = 0x180, bool durable = true) =>
        Write(path, JsonSerializer.SerializeToUtf8Bytes(value, type), mode, durable);

    /// <summary>The content, at most <paramref name="limit"/> bytes; throws <see cref="ErrorKind.NotFound"/>.</summary>
    public static byte[] Read(string path, int limit = MaxSize)
    {
        using var file = Check.Descriptor(FileCalls.OpenAt(AT_FDCWD, path, O_RDONLY | O_NOCTTY), $"open {path}");
        return file.ReadToEnd(limit, path);
    }

    /// <summary>Parses a JSON file; throws <see cref="ErrorKind.NotFound"/> or <see cref="ErrorKind.DataCorrupted"/>.</summary>
    public static T ReadJson<T>(string path, JsonTypeInfo<T> type)
    {
        var content = Read(path);
        try
        {
            return JsonSerializer.Deserialize(content, type) ?? throw HullException.Corrupted($"{path} holds null");
        }
        catch (JsonException error)
        {
            throw HullException.Corrupted($"{path} is not the JSON it should be", error);
        }
    }

    /// <summary>Like <see cref="ReadJson{T}"/>, but null where the file does not exist.</summary>
    public static T? TryReadJson<T>(string path, JsonTypeInfo<T> type) where T : class
    {
        try
        {
            return ReadJson(path, type);
        }
        catch (HullException error) when (error.Errno == Errno.ENOENT)
        {
            return null;
        }
    }

    /// <summary>Makes the content of a file durable, whoever wrote it.</summary>
    public static void SyncFile(string path)
    {
        using var file = Check.Descriptor(FileCalls.OpenAt(AT_FDCWD, path, O_RDONLY | O_NOFOLLOW), $"open {path}");
        Check.Result(FileCalls.Fsync(file.Value), $"flush {path}");
    }

    /// <summary>Makes the names in a directory durable: fsync(2) of a file does not include the name it was given.</summary>
    public static void SyncDirectory(string path)
    {
        using var directory = Check.Descriptor(FileCalls.OpenAt(AT_FDCWD, path, O_RDONLY | O_DIRECTORY), $"open {path}");
        Check.Result(FileCalls.Fsync(directory.Value), $"flush {path}");
    }

    /// <summary>Makes a whole tree durable by one syncfs(2) of its file system, which is cheaper than a call per file.</summary>
    public static void SyncTree(string path)
    {
        using var directory = Check.Descriptor(FileCalls.OpenAt(AT_FDCWD, path, O_RDONLY | O_DIRECTORY), $"open {path}");
        Check.Result(FileCalls.SyncFs(directory.Value), $"flush the file system of {path}");
    }

    /// <summary>Removes a file durably; one that is not there is no error.</summary>
    public static void Delete(string path)
    {
        var result = FileCalls.UnlinkAt(AT_FDCWD, path);
        if (result == -(nint)Errno.ENOENT) return;
        Check.Result(result, $"remove {path}");
    }
}
