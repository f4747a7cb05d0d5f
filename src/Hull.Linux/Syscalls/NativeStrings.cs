using System.Runtime.InteropServices;

namespace Hull.Linux.Syscalls;

/// <summary>
/// An arena of native memory for strings and arrays that must not move: arguments of exec, programs for a forked child.
/// Everything is freed together.
/// </summary>
internal sealed unsafe class NativeStrings : IDisposable
{
    private const int BlockSize = 16384;
    private readonly List<nint> _blocks = [];
    private byte* _next;
    private int _left;

    /// <summary>Zeroed memory, aligned for any struct of the kernel.</summary>
    internal void* Allocate(int size)
    {
        size = (size + 7) & ~7;
        if (size > _left)
        {
            var block = Math.Max(size, BlockSize);
            // SAFETY: the block is owned by this arena until Dispose.
            _next = (byte*)NativeMemory.AllocZeroed((nuint)block);
            _left = block;
            _blocks.Add((nint)_next);
        }

        var result = _next;
        _next += size;
        _left -= size;
        return result;
    }

    /// <summary>A NUL-terminated copy.</summary>
    internal byte* Add(string text)
    {
        var size = NativeText.MaxBytes(text);
        // SAFETY: the arena gave size bytes.
        var result = (byte*)Allocate(size);
        _ = NativeText.Encode(text, new Span<byte>(result, size));
        return result;
    }

    internal byte* Add(ReadOnlySpan<byte> bytes)
    {
        // SAFETY: the arena gave at least as many bytes as are copied.
        var result = (byte*)Allocate(Math.Max(1, bytes.Length));
        bytes.CopyTo(new Span<byte>(result, bytes.Length));
        return result;
    }

    /// <summary>An array of strings that ends with a null pointer, as execve(2) takes it.</summary>
    internal byte** AddArray(IReadOnlyList<string> strings)
    {
        // SAFETY: the arena gave room for the pointers and the terminating null, and is zeroed.
        var result = (byte**)Allocate((strings.Count + 1) * sizeof(byte*));
        for (var i = 0; i < strings.Count; i++) result[i] = Add(strings[i]);
        return result;
    }

    internal T* Add<T>(T value) where T : unmanaged
    {
        // SAFETY: the arena gave sizeof(T) aligned bytes.
        var result = (T*)Allocate(sizeof(T));
        *result = value;
        return result;
    }

    public void Dispose()
    {
        foreach (var block in _blocks)
        {
            // SAFETY: allocated by this arena, freed once.
            NativeMemory.Free((void*)block);
        }

        _blocks.Clear();
        _left = 0;
    }
}
