using System.Buffers;
using System.Text.Json;
using Hull.Core;
using Hull.Linux;
using Hull.Linux.Files;
using Hull.Linux.Mounts;
using Hull.Linux.Syscalls;
using static Hull.Linux.Abi.Fcntl;

namespace Hull.Runtime.Checkpoints;

/// <summary>
/// What stdin, stdout and stderr of a saved init were, in the words of criu's --inherit-fd: who continues the container gives
/// it streams of their own in place of pipes and of files of the host. Kept beside the images, in the file and form runc has.
/// </summary>
internal static class StandardStreamKeys
{
    private const string FileName = "descriptors.json";

    internal static string[] Of(int pid)
    {
        var own = Mounts(pid);
        return [.. Enumerable.Range(0, 3).Select(number => KeyOf(pid, number, own))];
    }

    internal static void Write(string directory, string[] keys)
    {
        var buffer = new ArrayBufferWriter<byte>();
        using (var writer = new Utf8JsonWriter(buffer))
        {
            writer.WriteStartArray();
            foreach (var key in keys) writer.WriteStringValue(key);
            writer.WriteEndArray();
        }

        AtomicFile.Write(Path.Combine(directory, FileName), buffer.WrittenSpan, 0x180 /* 0600 */, durable: false);
    }

    internal static string[] Read(string directory)
    {
        var path = Path.Combine(directory, FileName);
        if (!File.Exists(path)) throw HullException.NotFound($"{directory} holds no checkpoint: {FileName} is missing");
        try
        {
            using var document = JsonDocument.Parse(File.ReadAllBytes(path));
            return [.. document.RootElement.EnumerateArray().Select(element => element.GetString() ?? "")];
        }
        catch (Exception error) when (error is JsonException or InvalidOperationException)
        {
            throw HullException.Corrupted($"{path} is not a list of strings", error);
        }
    }

    /// <summary>Whether the stream is replaced by one of the caller's.</summary>
    internal static bool IsReplaced(string key) => key.StartsWith("pipe:", StringComparison.Ordinal) || IsHostFile(key);

    /// <summary>Whether criu must be told that the file is not the container's.</summary>
    internal static bool IsHostFile(string key) => key.StartsWith("file[", StringComparison.Ordinal);

    private static string KeyOf(int pid, int number, HashSet<int> own)
    {
        var path = $"/proc/{pid}/fd/{number}";
        var target = new FileInfo(path).LinkTarget ?? "";
        if (!target.StartsWith('/')) return target;
        using var file = Check.Descriptor(FileCalls.OpenAt(AT_FDCWD, path, O_PATH), $"open stream {number} of the container's init");
        var mount = MountOf(pid, number);
        return own.Contains(mount) ? target : $"file[{mount:x}:{file.Stat().Inode:x}]";
    }

    private static HashSet<int> Mounts(int pid) => [.. MountInfo.Parse(File.ReadAllBytes($"/proc/{pid}/mountinfo")).Select(mount => mount.Id)];

    private static int MountOf(int pid, int number)
    {
        const string Label = "mnt_id:";
        foreach (var line in File.ReadLines($"/proc/{pid}/fdinfo/{number}"))
        {
            if (line.StartsWith(Label, StringComparison.Ordinal)) return int.Parse(line.AsSpan(Label.Length));
        }

        return 0;
    }
}
