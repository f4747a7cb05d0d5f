using Hull.Core;
using Hull.Linux.Abi;
using Hull.Linux.Files;
using Hull.Linux.Syscalls;
using Hull.Testing;

namespace Hull.Linux.Tests.Files;

public sealed class RootDirectoryTests : IDisposable
{
    private readonly TemporaryDirectory _temporary = new("hull-root");
    private readonly RootDirectory _root;

    public RootDirectoryTests()
    {
        Directory.CreateDirectory(_temporary["root/etc"]);
        File.WriteAllText(_temporary["secret"], "host");
        File.WriteAllText(_temporary["root/etc/passwd"], "container");
        _root = RootDirectory.Open(_temporary["root"]);
    }

    public void Dispose()
    {
        _root.Dispose();
        _temporary.Dispose();
    }

    [Theory]
    [InlineData("../secret")]
    [InlineData("/../../secret")]
    [InlineData("escape/secret")]
    public void A_path_cannot_leave_the_root(string path)
    {
        File.CreateSymbolicLink(_temporary["root/escape"], _temporary.Path);
        Assert.False(_root.Exists(path));
        var error = Assert.Throws<HullException>(() => _root.ReadAllBytes(path));
        Assert.Equal(Errno.ENOENT, error.Errno);
    }

    [Fact]
    public void An_absolute_link_means_the_root_of_the_container()
    {
        File.CreateSymbolicLink(_temporary["root/link"], "/etc/passwd");
        Assert.Equal("container"u8.ToArray(), _root.ReadAllBytes("link"));
    }

    [Fact]
    public void Beneath_refuses_what_InRoot_rewrites()
    {
        File.CreateSymbolicLink(_temporary["root/link"], "/etc/passwd");
        using var beneath = RootDirectory.Open(_temporary["root"], RootScope.Beneath);
        Assert.Equal(Errno.EXDEV, Assert.Throws<HullException>(() => beneath.ReadAllBytes("link")).Errno);
        Assert.Equal(Errno.EXDEV, Assert.Throws<HullException>(() => beneath.ReadAllBytes("../secret")).Errno);
    }

    [Fact]
    public void Magic_links_are_never_followed()
    {
        using var proc = RootDirectory.Open("/proc");
        Assert.Equal(Errno.ELOOP, Assert.Throws<HullException>(() => proc.OpenPath("self/root")).Errno);
    }

    [Fact]
    public void A_fifo_does_not_hold_a_reader()
    {
        _root.CreateNode("fifo", StatMode.S_IFIFO | 0x180);
        Assert.Contains("not a regular file", Assert.Throws<HullException>(() => _root.ReadAllBytes("fifo")).Message);
    }

    [Fact]
    public void The_limit_of_a_read_holds()
    {
        File.WriteAllBytes(_temporary["root/big"], new byte[1001]);
        Assert.Equal(1001, _root.ReadAllBytes("big", 1001).Length);
        Assert.Equal(ErrorKind.ResourceExhausted, Assert.Throws<HullException>(() => _root.ReadAllBytes("big", 1000)).Kind);
    }

    [Fact]
    public void MkdirAll_makes_dangling_links_inside_the_root()
    {
        File.CreateSymbolicLink(_temporary["root/run"], "/var/run");
        using (_root.MkdirAll("run/a/b")) { }
        Assert.True(Directory.Exists(_temporary["root/var/run/a/b"]));
        File.CreateSymbolicLink(_temporary["root/up"], "../../../made");
        using (_root.MkdirAll("up/x")) { }
        Assert.True(Directory.Exists(_temporary["root/made/x"]));
        Assert.False(Directory.Exists(_temporary["made"]));
    }

    [Fact]
    public void MkdirAll_ends_on_a_loop_of_links()
    {
        File.CreateSymbolicLink(_temporary["root/a"], "b");
        File.CreateSymbolicLink(_temporary["root/b"], "a");
        Assert.Equal(Errno.ELOOP, Assert.Throws<HullException>(() => _root.MkdirAll("a/x")).Errno);
    }

    [Fact]
    public void Names_that_are_not_text_survive()
    {
        var name = NativeText.Decode([0x61, 0xff, 0xfe, 0x62]);
        using (_root.CreateFileExclusive(name, 0x1A4)) { }
        var entry = Assert.Single(_root.List(), e => e.Name != "etc");
        Assert.Equal(name, entry.Name);
        Assert.Equal([0x61, 0xff, 0xfe, 0x62, 0], NativeText.ToBytes(entry.Name));
        _root.Unlink(name);
    }

    [Fact]
    public void Changes_act_on_links_themselves()
    {
        File.CreateSymbolicLink(_temporary["root/link"], "/etc/passwd");
        Assert.True(_root.Stat("link").IsSymbolicLink);
        Assert.Equal("/etc/passwd", _root.ReadLink("link"));
        Assert.Throws<HullException>(() => _root.SetMode("link", 0x1FF));
        Assert.Throws<HullException>(() => _root.CreateFileExclusive("link", 0x180));
        _root.WriteAllBytes("link", "new"u8);
        Assert.True(_root.Stat("link").IsRegular);
        Assert.Equal("container", File.ReadAllText(_temporary["root/etc/passwd"]));
    }

    [Fact]
    public void Metadata_is_what_was_set()
    {
        _root.WriteAllBytes("file", "x"u8);
        _root.SetMode("file", 0x9C0 | 0x800);
        _root.SetTimes("file", new TimeSpec { tv_sec = 5 }, new TimeSpec { tv_sec = 7, tv_nsec = 9 });
        var status = _root.Stat("file");
        Assert.Equal(0x9C0u | 0x800u, status.Mode);
        Assert.Equal((7, 9), (status.Modified.tv_sec, status.Modified.tv_nsec));
    }

    [Fact]
    public void Extended_attributes_are_what_was_set()
    {
        Require.Root();
        _root.WriteAllBytes("file", "x"u8);
        try
        {
            _root.SetExtendedAttribute("file", "trusted.hull", "v"u8);
        }
        catch (HullException error) when (error.Kind == ErrorKind.Unsupported)
        {
            Assert.Skip("the file system of the temporary directory has no extended attributes");
        }

        Assert.Equal("v"u8.ToArray(), _root.GetExtendedAttribute("file", "trusted.hull"));
        Assert.Contains("trusted.hull", _root.ListExtendedAttributes("file"));
        _root.RemoveExtendedAttribute("file", "trusted.hull");
        Assert.Null(_root.GetExtendedAttribute("file", "trusted.hull"));
    }

    [Fact]
    public void RemoveTree_removes_deep_trees_and_does_not_follow_links()
    {
        Directory.CreateDirectory(_temporary["outside"]);
        File.WriteAllText(_temporary["outside/kept"], "");
        var path = "deep";
        for (var i = 0; i < 300; i++) path += "/d";
        using (_root.MkdirAll(path)) { }
        _root.CreateSymbolicLink(_temporary["outside"], "deep/link");
        _root.RemoveTree("deep");
        _root.RemoveTree("deep");
        Assert.False(_root.Exists("deep", follow: false));
        Assert.True(File.Exists(_temporary["outside/kept"]));
    }

    [Fact]
    public void RemoveTree_never_crosses_a_mount()
    {
        Require.Root();
        Directory.CreateDirectory(_temporary["outside"]);
        File.WriteAllText(_temporary["outside/kept"], "");
        Directory.CreateDirectory(_temporary["root/tree/mount"]);
        Check.Result(MountCalls.Mount(_temporary["outside"], _temporary["root/tree/mount"], null, MountFlags.MS_BIND, null), $"bind");
        try
        {
            Assert.Throws<HullException>(() => _root.RemoveTree("tree"));
            Assert.True(File.Exists(_temporary["outside/kept"]));
        }
        finally
        {
            Check.Result(MountCalls.Umount(_temporary["root/tree/mount"], UmountFlags.MNT_DETACH), $"unmount");
        }

        _root.RemoveTree("tree");
    }

    [Fact]
    public async Task A_directory_swapped_for_a_link_all_the_time_never_leads_outside()
    {
        Directory.CreateDirectory(_temporary["outside"]);
        Directory.CreateDirectory(_temporary["root/swap"]);
        Directory.CreateSymbolicLink(_temporary["root/evil"], _temporary["outside"]);
        using var stop = new CancellationTokenSource();
        var attacker = Task.Run(() =>
        {
            while (!stop.IsCancellationRequested) _root.Rename("swap", "evil", FileFlags.RENAME_EXCHANGE);
        });

        for (var i = 0; i < 2000; i++)
        {
            try
            {
                using (_root.MkdirAll("swap/a/b")) { }
                _root.WriteAllBytes("swap/file", "x"u8);
                _root.RemoveTree("swap/a");
            }
            catch (HullException)
            {
                // Losing the race is allowed; leaving the root is not.
            }
        }

        await stop.CancelAsync();
        await attacker;
        Assert.Empty(Directory.GetFileSystemEntries(_temporary["outside"]));
    }

    [Fact]
    public void Attributes_are_listed_however_many_there_are()
    {
        var names = Enumerable.Range(10, 40).Select(number => $"security.hull-{new string('x', 40)}-{number}").ToList();
        foreach (var name in names) _root.SetExtendedAttribute("etc/passwd", name, [1]);
        Assert.Equal(names, _root.ListExtendedAttributes("etc/passwd").Where(name => name.StartsWith("security.hull-", StringComparison.Ordinal)).Order(StringComparer.Ordinal));
    }
}
