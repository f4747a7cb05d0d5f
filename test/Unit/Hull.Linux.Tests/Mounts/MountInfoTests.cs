using Hull.Linux.Mounts;

namespace Hull.Linux.Tests.Mounts;

public sealed class MountInfoTests
{
    [Fact]
    public void A_line_is_read_with_its_escapes()
    {
        var mount = MountInfo.TryParseLine(@"36 35 98:0 /mnt1 /mnt\0402 rw,noatime master:1 shared:7 - ext3 /dev/root rw,errors=continue")!;
        Assert.Equal((36, 35, 98u, 0u, "/mnt1", "/mnt 2", "ext3"),
            (mount.Id, mount.ParentId, mount.Major, mount.Minor, mount.Root, mount.Target, mount.FileSystem));
        Assert.True(mount.IsShared && mount.HasOption("noatime") && !mount.IsReadOnly);
    }

    [Theory]
    [InlineData("")]
    [InlineData("a b c d e f - g h i")]
    [InlineData("1 2 3:4 / / rw")]
    [InlineData("1 2 3 / / rw - a b c")]
    [InlineData("1 2 3:4 / / rw - a b")]
    public void What_is_no_line_of_mountinfo_is_skipped(string line) => Assert.Null(MountInfo.TryParseLine(line));

    [Fact]
    public void Any_bytes_are_survived()
    {
        var random = new Random(1);
        var seed = @"36 35 98:0 /mnt1 /mnt\0402 rw,noatime master:1 - ext3 /dev/root rw"u8.ToArray();
        for (var i = 0; i < 5000; i++)
        {
            var copy = seed.ToArray();
            for (var k = 0; k < 5; k++) copy[random.Next(copy.Length)] = (byte)random.Next(256);
            MountInfo.Parse(copy);
        }
    }

    [Fact]
    public void This_process_has_a_root_mount() => Assert.Contains(MountInfo.ReadSelf(), mount => mount.Target == "/");
}
