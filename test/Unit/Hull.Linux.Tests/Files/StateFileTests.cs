using Hull.Core;
using Hull.Linux.Abi;
using Hull.Linux.Files;
using Hull.Testing;

namespace Hull.Linux.Tests.Files;

public sealed class StateFileTests
{
    [Fact]
    public void A_write_replaces_the_file_and_leaves_no_temporary()
    {
        using var temporary = new TemporaryDirectory();
        AtomicFile.Write(temporary["state"], "one"u8);
        AtomicFile.Write(temporary["state"], "two"u8, 0x1A4);
        Assert.Equal("two"u8.ToArray(), AtomicFile.Read(temporary["state"]));
        Assert.Equal([temporary["state"]], Directory.GetFileSystemEntries(temporary.Path));
        Assert.Equal(UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.GroupRead | UnixFileMode.OtherRead,
            File.GetUnixFileMode(temporary["state"]));
        AtomicFile.Delete(temporary["state"]);
        AtomicFile.Delete(temporary["state"]);
        Assert.Equal(Errno.ENOENT, Assert.Throws<HullException>(() => AtomicFile.Read(temporary["state"])).Errno);
    }

    [Fact]
    public void A_write_that_fails_leaves_the_old_content_and_nothing_else()
    {
        using var temporary = new TemporaryDirectory();
        Directory.CreateDirectory(temporary["state"]);
        Assert.Throws<HullException>(() => AtomicFile.Write(temporary["state"], "one"u8));
        Assert.Equal([temporary["state"]], Directory.GetFileSystemEntries(temporary.Path));
    }

    [Fact]
    public void A_lock_excludes_another_until_it_is_released()
    {
        using var temporary = new TemporaryDirectory();
        using (FileLock.Acquire(temporary["lock"]))
        {
            Assert.Null(FileLock.TryAcquire(temporary["lock"]));
        }

        using var again = FileLock.TryAcquire(temporary["lock"]);
        Assert.NotNull(again);
    }

    [Fact]
    public void A_lock_is_given_back_though_a_copy_of_its_descriptor_lives()
    {
        using var temporary = new TemporaryDirectory();
        SafeFd copy;
        using (FileLock.Acquire(temporary["lock"]))
        {
            var number = Directory.EnumerateFiles("/proc/self/fd").Single(file => new FileInfo(file).LinkTarget == temporary["lock"]);
            copy = SafeFd.Borrow(int.Parse(Path.GetFileName(number), System.Globalization.CultureInfo.InvariantCulture)).Duplicate();
        }

        using (copy)
        using (var again = FileLock.TryAcquire(temporary["lock"])) Assert.NotNull(again);
    }

    [Fact]
    public void Paths_are_cleaned_by_text()
    {
        Assert.Equal("/a/c", PathName.Clean("a/./b/../c//"));
        Assert.Equal("/etc", PathName.Clean("/../../etc"));
        Assert.Equal(("a", "b"), PathName.SplitLast("a/b/"));
        Assert.Throws<HullException>(() => PathName.SplitLast("a/.."));
        Assert.Throws<HullException>(() => PathName.RequireSingle("a/b"));
    }

    [Fact]
    public void Procfs_is_verified_and_nothing_leads_out_of_it()
    {
        using var proc = ProcFs.Open();
        Assert.NotEmpty(proc.Read("sys/kernel/ostype"));
        Assert.Throws<HullException>(() => proc.OpenFile("self/root/etc/passwd"));
        Assert.Throws<HullException>(() => proc.OpenFile("../etc/passwd"));
        using var temporary = new TemporaryDirectory();
        AtomicFile.Write(temporary["f"], "text"u8);
        using var root = RootDirectory.Open(temporary.Path);
        using var handle = root.OpenPath("f");
        using var file = proc.Reopen(handle, Fcntl.O_RDONLY);
        Assert.Equal("text"u8.ToArray(), file.ReadToEnd());
    }
}
