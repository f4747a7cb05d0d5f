namespace Hull.Images.Content;

/// <summary>
/// An advisory lock between processes on a file that is never replaced. Readers share it, writers have it alone;
/// it goes with the process that holds it, however that ends.
/// </summary>
internal sealed class StoreLock : IDisposable
{
    private static readonly TimeSpan FirstPause = TimeSpan.FromMilliseconds(1);
    private static readonly TimeSpan LongestPause = TimeSpan.FromMilliseconds(50);

    private readonly FileStream _file;

    private StoreLock(FileStream file) => _file = file;

    /// <summary>Null where somebody else has it.</summary>
    public static StoreLock? TryTake(string path, bool shared = false)
    {
        FileStream? file = null;
        try
        {
            // The runtime takes flock(2) by the sharing mode: LOCK_SH to read, LOCK_EX to have it alone.
            if (!File.Exists(path)) new FileStream(path, FileMode.OpenOrCreate, FileAccess.Write, FileShare.ReadWrite).Dispose();
            file = shared
                ? new FileStream(path, FileMode.Open, FileAccess.Read, FileShare.Read, 1)
                : new FileStream(path, FileMode.Open, FileAccess.ReadWrite, FileShare.None, 1);
            return new StoreLock(file);
        }
        catch (IOException) when (Directory.Exists(Path.GetDirectoryName(path)))
        {
            file?.Dispose();
            return null;
        }
    }

    public static StoreLock Take(string path, bool shared = false, CancellationToken cancellation = default)
    {
        for (var pause = FirstPause; ; pause = Next(pause))
        {
            if (TryTake(path, shared) is { } taken) return taken;
            cancellation.WaitHandle.WaitOne(pause);
            cancellation.ThrowIfCancellationRequested();
        }
    }

    /// <summary>Waits without a thread; <paramref name="giveUp"/> is asked before every attempt.</summary>
    public static async Task<StoreLock?> TakeAsync(string path, Func<bool> giveUp, CancellationToken cancellation)
    {
        for (var pause = FirstPause; !giveUp(); pause = Next(pause))
        {
            if (TryTake(path) is { } taken) return taken;
            await Task.Delay(pause, cancellation).ConfigureAwait(false);
        }

        return null;
    }

    public void Dispose() => _file.Dispose();

    private static TimeSpan Next(TimeSpan pause) => pause * 2 < LongestPause ? pause * 2 : LongestPause;
}
