namespace Hull.Images.Snapshots.Erofs;

/// <summary>Compares two files byte by byte.</summary>
internal static class FileComparison
{
    private const int BufferSize = 1 << 20;

    /// <summary>What differs first, in words; null where nothing does.</summary>
    public static string? FirstDifference(string stored, string expected)
    {
        using var left = File.OpenHandle(stored);
        using var right = File.OpenHandle(expected);
        if (RandomAccess.GetLength(left) != RandomAccess.GetLength(right))
            return $"has {RandomAccess.GetLength(left)} bytes, expected {RandomAccess.GetLength(right)}";
        var (a, b) = (new byte[BufferSize], new byte[BufferSize]);
        for (long offset = 0; ; offset += BufferSize)
        {
            var count = ReadFully(left, a, offset);
            if (ReadFully(right, b, offset) != count) return $"changed while it was read, at byte {offset}";
            if (count == 0) return null;
            var same = a.AsSpan(0, count).CommonPrefixLength(b.AsSpan(0, count));
            if (same < count) return $"differs at byte {offset + same}";
        }
    }

    private static int ReadFully(Microsoft.Win32.SafeHandles.SafeFileHandle file, byte[] buffer, long offset)
    {
        var done = 0;
        while (done < buffer.Length && RandomAccess.Read(file, buffer.AsSpan(done), offset + done) is var count and > 0) done += count;
        return done;
    }
}
