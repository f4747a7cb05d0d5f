using Hull.Linux.Files;

namespace Hull.Images.Content;

/// <summary>Waiting for a <see cref="FileLock"/> without holding a thread.</summary>
internal static class StoreLock
{
    private static readonly TimeSpan FirstPause = TimeSpan.FromMilliseconds(2);
    private static readonly TimeSpan LongestPause = TimeSpan.FromMilliseconds(50);

    /// <summary>Null once <paramref name="giveUp"/>, which is asked before every attempt, says that it is not needed any more.</summary>
    public static async Task<FileLock?> TakeAsync(string path, Func<bool> giveUp, CancellationToken cancellation)
    {
        for (var pause = FirstPause; !giveUp(); pause = pause < LongestPause ? pause * 2 : LongestPause)
        {
            if (FileLock.TryAcquire(path) is { } taken) return taken;
            await Task.Delay(pause, cancellation).ConfigureAwait(false);
        }

        return null;
    }
}
