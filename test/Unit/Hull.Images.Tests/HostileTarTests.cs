using System.Text;
using Hull.Core;
using Hull.Core.Tar;
using Hull.Images.Archive;
using Hull.Testing;

namespace Hull.Images.Tests;

/// <summary>
/// Layers whose headers lie. The reader is the same for every snapshotter; what paths and links can do is in the contract
/// of snapshotters.
/// </summary>
public sealed class HostileTarTests
{
    private static readonly UnpackLimits Limits = new() { MaxSparseRegions = 100 };

    [Theory]
    [InlineData("99 path=x\n")]
    [InlineData("0 path=x\n")]
    [InlineData("-9 path=x\n")]
    [InlineData("9999999999999 path=x\n")]
    [InlineData("8 path=x\n")]
    [InlineData("10 path=x")]
    [InlineData("path=x\n")]
    public void Pax_records_of_wrong_lengths_are_refused(string records) => Refuse([.. Entry("pax", 'x', Bytes(records)), .. Entry("file", '0', "data"u8)]);

    [Theory]
    [InlineData("=x")]
    [InlineData("size=-1")]
    [InlineData("size=99999999999999999999")]
    [InlineData("size=9223372036854775807")]
    [InlineData("uid=9e9")]
    [InlineData("uid=4294967295")]
    [InlineData("gid=-1")]
    [InlineData("mtime=1.x")]
    [InlineData("path=a\0b")]
    [InlineData("linkpath=a\0b")]
    [InlineData("SCHILY.xattr.=1234")]
    [InlineData("LIBARCHIVE.xattr.user.a=%%%")]
    [InlineData("GNU.sparse.size=1048\nGNU.sparse.offset=9999\nGNU.sparse.numbytes=4")]
    [InlineData("GNU.sparse.size=1048\nGNU.sparse.map=0,4,2,4")]
    [InlineData("GNU.sparse.size=1048\nGNU.sparse.map=0,-4")]
    [InlineData("GNU.sparse.major=1\nGNU.sparse.minor=0")]
    public void Pax_tricks_are_refused(string records) => Refuse([.. Entry("pax", 'x', Records(records.Split('\n'))), .. Entry("file", '0', "data"u8)]);

    [Fact]
    public void A_pax_size_decides_what_is_data_and_no_entry_hides_in_it()
    {
        // A reader that believed the header's own size would see a second file, 'hidden'.
        var hidden = Entry("hidden", '0', ""u8);
        var tar = (byte[])[.. Entry("pax", 'x', Records("size=512")), .. Header("visible", '0', 0), .. hidden, .. End];
        Assert.Equal([("visible", 512L)], Read(tar));
    }

    [Fact]
    public void A_global_header_holds_for_what_follows_and_is_taken_back()
    {
        var tar = (byte[])[.. Entry("g", 'g', Records("uid=1000")), .. Entry("a", '0', ""u8), .. Entry("g", 'g', Records("uid=")), .. Entry("b", '0', ""u8), .. End];
        var reader = new TarReader(new MemoryStream(tar));
        Assert.True(reader.Next());
        Assert.Equal(1000u, reader.Entry.UserId);
        Assert.True(reader.Next());
        Assert.Equal(0u, reader.Entry.UserId);
    }

    [Theory]
    [InlineData('x')]
    [InlineData('g')]
    [InlineData('L')]
    [InlineData('K')]
    public void Giant_headers_are_refused_before_they_are_read(char type)
    {
        // Only the header is there: who allocated for it or waited for its data would notice.
        Refuse(Header("giant", type, 8L << 30), ErrorKind.ResourceExhausted);
        Refuse(Header("giant", type, (1 << 20) + 1), ErrorKind.ResourceExhausted);
    }

    [Fact]
    public void Names_without_end_are_refused()
    {
        Refuse([.. Entry("long", 'L', Bytes(new string('n', 10_000))), .. Entry("x", '0', ""u8)], ErrorKind.ResourceExhausted);
        Refuse([.. Entry("pax", 'x', Records("path=" + new string('n', 10_000))), .. Entry("x", '0', ""u8)], ErrorKind.ResourceExhausted);
    }

    [Fact]
    public void More_attributes_than_a_file_can_have_are_refused()
    {
        var records = Records([.. Enumerable.Range(0, 6).Select(i => $"SCHILY.xattr.user.{i}={new string('v', 60_000)}")]);
        Refuse([.. Entry("pax", 'x', records), .. Entry("x", '0', ""u8)], ErrorKind.ResourceExhausted);
    }

    [Theory]
    [InlineData("0\n0\n", null)]
    [InlineData("1\n0\n512\n", 512L)]
    [InlineData("-1\n", null)]
    [InlineData("99999999\n0\n1\n", null)]
    [InlineData("2\n0\n512\n0\n512\n", null)]
    [InlineData("1\n999999\n512\n", null)]
    [InlineData("123456789012345678901234567890\n", null)]
    public void Maps_of_sparse_files_that_do_not_add_up_are_refused(string map, long? size)
    {
        var sparse = Records("GNU.sparse.major=1", "GNU.sparse.minor=0", "GNU.sparse.realsize=512");
        var data = new byte[1024];
        Bytes(map).CopyTo(data, 0);
        var tar = (byte[])[.. Entry("pax", 'x', sparse), .. Entry("f", '0', data), .. End];
        if (size is null) Refuse(tar);
        else Assert.Equal([("f", size.Value)], Read(tar));
    }

    [Fact]
    public void Impossible_devices_owners_and_types_are_refused()
    {
        var device = Header("dev", '3', 0);
        Encoding.ASCII.GetBytes("7777777\0").CopyTo(device, 329);
        Refuse(Sum(device));
        var owner = Header("owner", '0', 0);
        // Base 256, as large as the field takes.
        owner.AsSpan(108, 8).Fill(0xFF);
        Refuse(Sum(owner));
        Refuse(Header("odd", 'Z', 0));
        Refuse(Header("negative", '0', 0, size => size.Fill(0xFF)));
    }

    [Fact]
    public void What_follows_the_end_or_breaks_off_is_no_layer()
    {
        Refuse([.. Entry("a", '0', ""u8), .. new byte[512], .. Entry("b", '0', ""u8), .. End]);
        Refuse(Header("short", '0', 4096));
        var wrong = Entry("a", '0', ""u8);
        wrong[0] ^= 1;
        Refuse(wrong);
    }

    [Fact]
    public void Bombs_of_every_compression_are_stopped_by_size_and_by_ratio()
    {
        using var directory = new TemporaryDirectory("images-bomb");
        Command.Shell($"cd {directory.Path} && head -c 8M /dev/zero > zeros && gzip -k zeros && zstd -q -k zeros && bzip2 -k zeros && xz -k zeros").Ok();
        foreach (var path in (string[])[directory["zeros.gz"], directory["zeros.zst"], directory["zeros.bz2"], directory["zeros.xz"]])
        {
            foreach (var limits in (UnpackLimits[])[new() { MaxLayerSize = 1 << 20 }, new() { RatioFreeSize = 1 << 20, MaxRatio = 50 }])
            {
                using var stream = LayerStream.Open(File.OpenRead(path), limits);
                var error = Assert.Throws<HullException>(() => stream.CopyTo(Stream.Null));
                Assert.Equal(ErrorKind.ResourceExhausted, error.Kind);
            }
        }
    }

    private static byte[] End => new byte[1024];

    /// <summary>PAX records with the lengths they have.</summary>
    private static byte[] Records(params string[] records) => [.. records.SelectMany(record =>
    {
        var length = record.Length + 2;
        while (length != record.Length + 2 + $"{length}".Length) length = record.Length + 2 + $"{length}".Length;
        return Bytes($"{length} {record}\n");
    })];

    private static byte[] Bytes(string text) => Encoding.Latin1.GetBytes(text);

    private static List<(string Name, long Size)> Read(byte[] tar)
    {
        var reader = new TarReader(new MemoryStream(tar), Limits);
        var entries = new List<(string, long)>();
        while (reader.Next())
        {
            entries.Add((Encoding.UTF8.GetString(reader.Entry.Path), reader.Entry.Size));
            while (reader.NextPiece(out _, out _))
            {
                // The data is taken as an unpacker takes it.
            }
        }

        return entries;
    }

    private static void Refuse(byte[] tar, ErrorKind? kind = null)
    {
        var error = Assert.Throws<HullException>(() => Read(tar));
        if (kind is { } one) Assert.Equal(one, error.Kind);
        else Assert.Contains(error.Kind, (ErrorKind[])[ErrorKind.DataCorrupted, ErrorKind.ResourceExhausted]);
        Assert.DoesNotContain('\n', error.Message);
    }

    private static byte[] Entry(string name, char type, ReadOnlySpan<byte> data) => [.. Header(name, type, data.Length), .. data, .. new byte[-data.Length & 511]];

    private delegate void Change(Span<byte> field);

    private static byte[] Header(string name, char type, long size, Change? changeSize = null)
    {
        var header = new byte[512];
        Bytes(name).CopyTo(header, 0);
        Bytes("0000644\00000000\00000000\0").CopyTo(header, 100);
        // GNU's base 256 where eleven octal digits do not do.
        if (size < 1L << 33) Bytes(Convert.ToString(size, 8).PadLeft(11, '0')).CopyTo(header, 124);
        else
        {
            header[124] = 0x80;
            System.Buffers.Binary.BinaryPrimitives.WriteInt64BigEndian(header.AsSpan(128), size);
        }

        changeSize?.Invoke(header.AsSpan(124, 12));
        Bytes("00000000000\0").CopyTo(header, 136);
        header[156] = (byte)type;
        Bytes("ustar\000").CopyTo(header, 257);
        return Sum(header);
    }

    private static byte[] Sum(byte[] header)
    {
        header.AsSpan(148, 8).Fill((byte)' ');
        Bytes(Convert.ToString(header.Sum(value => value), 8).PadLeft(6, '0') + "\0 ").CopyTo(header, 148);
        return header;
    }
}
