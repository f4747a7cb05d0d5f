using System.Buffers.Binary;

namespace Hull.Images.Snapshots.Erofs;

/// <summary>The data of a sparse file: chunks where there is data, nothing where there is none, and a map of them.</summary>
internal sealed class SparseData
{
    private readonly ImageOutput _output;
    private readonly long _size;
    private readonly int _shift;
    private readonly uint[] _chunks;
    private long _current = -1;
    private long _currentStart;

    /// <param name="bits">Blocks in a chunk, as a power of two.</param>
    public SparseData(ImageOutput output, long size, int bits)
    {
        (_output, _size, _shift) = (output, size, bits + ErofsFormat.BlockBits);
        _chunks = new uint[(size + (1L << _shift) - 1) >> _shift];
        Array.Fill(_chunks, ErofsFormat.NullBlock);
    }

    public int TableSize => _chunks.Length * sizeof(uint);

    /// <summary>Data at a position of the file; positions ascend.</summary>
    public void Write(long position, ReadOnlySpan<byte> bytes)
    {
        while (bytes.Length > 0)
        {
            var chunk = position >> _shift;
            if (chunk != _current) Open(chunk);
            var end = Math.Min((chunk + 1) << _shift, _size);
            var count = (int)Math.Min(bytes.Length, end - position);
            _output.WriteAt(_currentStart + position - (chunk << _shift), bytes[..count]);
            position += count;
            bytes = bytes[count..];
        }
    }

    public byte[] Table()
    {
        var table = new byte[TableSize];
        for (var i = 0; i < _chunks.Length; i++) BinaryPrimitives.WriteUInt32LittleEndian(table.AsSpan(i * sizeof(uint)), _chunks[i]);
        return table;
    }

    private void Open(long chunk)
    {
        var size = Math.Min(1L << _shift, _size - (chunk << _shift));
        _currentStart = _output.Reserve(ErofsFormat.BlocksFor(size) << ErofsFormat.BlockBits);
        _chunks[chunk] = (uint)(_currentStart >> ErofsFormat.BlockBits);
        _current = chunk;
    }
}
