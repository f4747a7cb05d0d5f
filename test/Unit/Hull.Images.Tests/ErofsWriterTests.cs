using Hull.Core;
using Hull.Core.Tar;
using Hull.Images.Archive;
using Hull.Images.Snapshots.Erofs;
using Hull.Testing;

namespace Hull.Images.Tests;

/// <summary>Images of the writer, judged by fsck.erofs and by the kernel, against what tar itself unpacks.</summary>
public class ErofsWriterTests
{
    /// <summary>A tree with everything a layer can hold.</summary>
    private const string Tree = """
        set -e
        mkdir -p empty deep/a/b/c/d 'with space' many -- '-dash' '!bang'
        head -c 10 /dev/urandom > small; head -c 4096 /dev/urandom > block; head -c 4097 /dev/urandom > over
        head -c 300000 /dev/urandom > large; : > none; head -c 3000000 /dev/zero > zeros
        head -c 4032 /dev/urandom > tail4032; head -c 4033 /dev/urandom > tail4033; head -c 6143 /dev/urandom > tail2047
        for i in $(seq 1 700); do echo $i > many/file-with-a-rather-long-name-number-$i; done
        ln small hard1; ln small deep/a/hard2; ln -s ../small deep/link; ln -s "$(printf 'x%.0s' $(seq 1 3000))" longlink
        ln -sf dangling sym; ln -P sym symhard
        mkfifo fifo; mknod cdev c 1 3; mknod bdev b 259 70000
        chmod 4755 small; chmod 2755 empty; chmod 1777 'with space'; chmod 000 none; chown 1000:70000 block; chown -h 12:13 sym
        setfattr -n user.test -v value small; setfattr -n user.same -v aaaaaaaaaaaaaaaa block over large
        setfattr -n trusted.foo -v bar empty; setcap cap_net_raw+ep over
        truncate -s 90M sparse; printf hello | dd of=sparse bs=1 seek=70000000 conv=notrunc 2>/dev/null
        touch -d '2001-02-03 04:05:06.789012345 UTC' deep/a/b/c/d small; touch -h -d '1969-12-31 12:00:00 UTC' sym
        printf x > "$(printf 'latin\351')"
        """;

    private const string Listing = """
        find . -mindepth 1 -printf '%p|%y|%m|%U:%G|%s|%n|%T@|%l\n' | grep -v '^\./[^|]*|d' | sort; find . -type d -printf '%p|%m|%U:%G|%n|%T@\n' | sort
        find . -type f -print0 | sort -z | xargs -0 sha256sum; find . -print0 | sort -z | xargs -0 getfattr -h -d -m - 2>/dev/null; find . -type b -o -type c | sort | xargs stat -c '%n %t:%T'
        """;

    [Fact]
    public void Everything_a_layer_can_hold_is_mounted_as_tar_unpacks_it()
    {
        Require.Root();
        Require.Program("fsck.erofs");
        using var directory = new TemporaryDirectory("images-erofs");
        Directory.CreateDirectory(directory["tree"]);
        Command.Run("/bin/bash", ["-c", Tree], null, directory: directory["tree"]).Ok();
        Command.Shell($"cd {directory.Path} && tar --format=pax --sparse --xattrs --xattrs-include='*' -C tree -cf layer.tar .").Ok();
        var size = Write(directory["layer.tar"], directory["layer.erofs"]);
        Assert.True(size < 20 << 20, $"a sparse file takes space: {size}");
        Command.Run("fsck.erofs", directory["layer.erofs"]).Ok();

        Directory.CreateDirectory(directory["mount"]);
        Command.Run("mount", "-t", "erofs", "-o", "loop,ro", directory["layer.erofs"], directory["mount"]).Ok();
        try
        {
            var expected = Command.Run("/bin/bash", ["-c", Listing], null, directory: directory["tree"]).Ok().Output;
            var actual = Command.Run("/bin/bash", ["-c", Listing], null, directory: directory["mount"]).Ok().Output;
            Assert.Equal(expected, actual);
        }
        finally
        {
            Command.Run("umount", directory["mount"]).Ok();
        }
    }

    [Fact]
    public void The_same_tar_gives_the_same_bytes()
    {
        using var directory = new TemporaryDirectory("images-erofs");
        Command.Shell($"mkdir {directory["t"]} && cd {directory["t"]} && mkdir -p a/b && seq 1 50000 > a/f && ln a/f a/g && ln -s f a/b/l && tar -cf ../l.tar .").Ok();
        Write(directory["l.tar"], directory["1"]);
        Write(directory["l.tar"], directory["2"]);
        Assert.Equal(File.ReadAllBytes(directory["1"]), File.ReadAllBytes(directory["2"]));
    }

    private static long Write(string tar, string image)
    {
        using var stream = File.OpenRead(tar);
        using var file = File.OpenHandle(image, FileMode.CreateNew, FileAccess.ReadWrite);
        var writer = new ErofsWriter(file, UnpackLimits.Default);
        var (diffId, _) = LayerUnpacker.Unpack(stream, writer, UnpackLimits.Default);
        Assert.Equal(Digest.Sha256(File.ReadAllBytes(tar)), diffId);
        writer.Finish(diffId);
        return RandomAccess.GetLength(file);
    }
}
