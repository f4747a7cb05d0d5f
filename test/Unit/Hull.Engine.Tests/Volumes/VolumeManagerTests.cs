using Hull.Core;
using Hull.Engine.Volumes;
using Hull.Testing;

namespace Hull.Engine.Tests.Volumes;

public sealed class VolumeManagerTests : IDisposable
{
    private readonly TemporaryDirectory directory = new("hull-vol");
    private readonly CancellationToken none = CancellationToken.None;
    private VolumeManager manager;

    public VolumeManagerTests()
    {
        Require.Root();
        manager = new VolumeManager(directory["volumes"]);
    }

    public void Dispose()
    {
        foreach (var line in Command.Shell($"grep -F {directory.Path} /proc/self/mounts | cut -d' ' -f2").Output.Split('\n', StringSplitOptions.RemoveEmptyEntries)) Command.Run("umount", line);
        directory.Dispose();
    }

    [Fact]
    public async Task A_volume_is_made_once_and_found_after_a_restart()
    {
        var made = await Create("data", labels: new() { ["tier"] = "db" });
        var again = await Create("data");
        manager = new VolumeManager(directory["volumes"]);

        Assert.Equal(made, again);
        Assert.Equal("db", manager.Get("data").Labels["tier"]);
        Assert.True(Directory.Exists(made.Mountpoint));
        await Assert.ThrowsAsync<HullException>(() => manager.CreateAsync(new VolumeRequest { Name = "data", Options = new Dictionary<string, string> { ["size"] = "10m" } }, none));
        Assert.Equal(64, (await manager.CreateAsync(new VolumeRequest { Anonymous = true }, none)).Name.Length);
    }

    [Theory]
    [InlineData("../x")]
    [InlineData(".hidden")]
    [InlineData("a/b")]
    public async Task A_name_that_is_no_name_is_refused(string name)
    {
        var error = await Assert.ThrowsAsync<HullException>(() => Create(name));
        Assert.Equal(ErrorKind.InvalidArgument, error.Kind);
    }

    [Theory]
    [InlineData("type", "nfs")]
    [InlineData("colour", "red")]
    [InlineData("size", "-1")]
    [InlineData("size", "9999999999t")]
    [InlineData("device", "/tmp")]
    [InlineData("size", "4k")]
    public async Task Options_that_make_no_sense_are_refused_and_leave_nothing(string option, string value)
    {
        var error = await Assert.ThrowsAsync<HullException>(() => Create("bad", new() { [option] = value }));
        Assert.Equal(ErrorKind.InvalidArgument, error.Kind);
        Assert.False(Directory.Exists(directory["volumes/bad"]));
        Assert.Empty(manager.List());
    }

    [Fact]
    public async Task A_held_volume_is_neither_removed_nor_pruned()
    {
        await Create("held");
        var free = await Create("free");
        File.WriteAllText(Path.Combine(free.Mountpoint, "file"), new string('x', 10000));
        manager.Hold("held", "workload1");

        Assert.Equal(ErrorKind.Conflict, (await Assert.ThrowsAsync<HullException>(() => manager.RemoveAsync("held", false, none))).Kind);
        var pruned = await manager.PruneAsync(_ => true, none);
        Assert.Equal(["free"], pruned.Removed);
        Assert.True(pruned.SpaceReclaimed >= 10000);
        manager.Release("held", "workload1");
        await manager.RemoveAsync("held", false, none);
        Assert.Empty(Directory.EnumerateFileSystemEntries(directory["volumes"]));
        await manager.RemoveAsync("held", true, none);
        await Assert.ThrowsAsync<HullException>(() => manager.RemoveAsync("held", false, none));
    }

    [Fact]
    public async Task A_size_bounds_what_can_be_written_and_the_mount_follows_its_users()
    {
        Require.Program("mke2fs");
        Require.That(Command.Shell("mount -o loop /dev/null /nonexistent 2>/dev/null; test -e /dev/loop-control").ExitCode == 0, "needs loop devices");
        var volume = await Create("small", new() { ["size"] = "16m" });
        var path = await manager.MountAsync("small", "a", none);
        await manager.MountAsync("small", "b", none);

        Assert.Empty(Directory.EnumerateFileSystemEntries(path));
        File.WriteAllText(Path.Combine(path, "kept"), "kept");
        Assert.NotEqual(0, Command.Run("dd", "if=/dev/zero", $"of={path}/big", "bs=1M", "count=20").ExitCode);
        File.Delete(Path.Combine(path, "big"));

        manager = new VolumeManager(directory["volumes"]);
        await manager.MountAsync("small", "c", none);
        Assert.Single(Mounts(volume.Mountpoint));
        foreach (var user in new[] { "a", "b" }) await manager.UnmountAsync("small", user, none);
        Assert.Single(Mounts(volume.Mountpoint));
        await manager.UnmountAsync("small", "c", none);
        Assert.Empty(Mounts(volume.Mountpoint));
        Assert.Equal("kept", File.ReadAllText(Path.Combine(await manager.MountAsync("small", "d", none), "kept")));
        await manager.UnmountAsync("small", "d", none);
        await manager.RemoveAsync("small", false, none);
        Assert.False(Directory.Exists(directory["volumes/small"]));
    }

    [Fact]
    public async Task Tmpfs_bind_and_overlay_are_mounted_as_their_options_say()
    {
        Directory.CreateDirectory(directory["source"]);
        foreach (var name in new[] { "lower", "upper", "work" }) Directory.CreateDirectory(directory[name]);
        File.WriteAllText(directory["source/file"], "bound");
        File.WriteAllText(directory["lower/file"], "lower");
        await Create("memory", new() { ["type"] = "tmpfs", ["size"] = "1m", ["o"] = "nosuid" });
        await Create("bound", new() { ["device"] = directory["source"], ["o"] = "bind,ro" });
        await Create("layers", new() { ["type"] = "overlay", ["device"] = "overlay", ["o"] = $"lowerdir={directory["lower"]},upperdir={directory["upper"]},workdir={directory["work"]}" });

        var memory = await manager.MountAsync("memory", "w", none);
        Assert.Contains("size=1024k", Mounts(memory)[0], StringComparison.Ordinal);
        var bound = await manager.MountAsync("bound", "w", none);
        Assert.Equal("bound", File.ReadAllText(Path.Combine(bound, "file")));
        Assert.Throws<IOException>(() => File.WriteAllText(Path.Combine(bound, "new"), ""));
        var layers = await manager.MountAsync("layers", "w", none);
        File.WriteAllText(Path.Combine(layers, "file"), "changed");
        Assert.Equal("lower", File.ReadAllText(directory["lower/file"]));
        foreach (var name in new[] { "memory", "bound", "layers" })
        {
            await manager.UnmountAsync(name, "w", none);
            await manager.RemoveAsync(name, false, none);
        }

        Assert.True(File.Exists(directory["source/file"]));
        Assert.Empty(Command.Shell($"grep -F {directory.Path} /proc/self/mounts || true").Output);
    }

    [Fact]
    public async Task Snapshots_keep_everything_and_roll_back()
    {
        var volume = await Create("data");
        Fill(volume.Mountpoint);
        var before = Describe(volume.Mountpoint);
        var snapshot = await manager.SnapshotAsync("data", "monday", none);
        File.WriteAllText(Path.Combine(volume.Mountpoint, "plain"), "damaged");
        Command.Run("rm", "-rf", Path.Combine(volume.Mountpoint, "directory")).Ok();

        manager = new VolumeManager(directory["volumes"]);
        Assert.Equal([snapshot], manager.Snapshots("data"));
        await Assert.ThrowsAsync<HullException>(() => manager.SnapshotAsync("data", "monday", none));
        manager.Hold("data", "w");
        Assert.Equal(ErrorKind.Conflict, (await Assert.ThrowsAsync<HullException>(() => manager.RollBackAsync("data", "monday", none))).Kind);
        manager.Release("data", "w");
        await manager.RollBackAsync("data", "monday", none);

        Assert.Equal(before, Describe(volume.Mountpoint));
        var clone = await manager.CloneAsync("data", "monday", new VolumeRequest { Name = "copy" }, none);
        Assert.Equal(before, Describe(clone.Mountpoint));
        await manager.RemoveSnapshotAsync("data", "monday", none);
        Assert.Empty(manager.Snapshots("data"));
        Assert.Equal(ErrorKind.NotFound, (await Assert.ThrowsAsync<HullException>(() => manager.RollBackAsync("data", "monday", none))).Kind);
    }

    [Fact]
    public async Task A_hole_stays_a_hole_in_a_clone()
    {
        var volume = await Create("sparse");
        Command.Shell($"truncate -s 64M {volume.Mountpoint}/file && printf data | dd of={volume.Mountpoint}/file bs=1 seek=33554432 conv=notrunc").Ok();
        var clone = await manager.CloneAsync("sparse", null, new VolumeRequest { Name = "copy" }, none);

        Command.Run("cmp", Path.Combine(volume.Mountpoint, "file"), Path.Combine(clone.Mountpoint, "file")).Ok();
        Assert.True(await manager.SizeAsync("copy", none) < 1 << 20);
    }

    [Fact]
    public async Task A_backup_restores_to_the_same_and_a_damaged_one_to_nothing()
    {
        var volume = await Create("data");
        Fill(volume.Mountpoint);
        using var archive = new MemoryStream();
        await manager.BackUpAsync("data", archive, none);
        archive.Position = 0;
        var restored = await manager.RestoreAsync(new VolumeRequest { Name = "restored" }, archive, none);
        var cut = new MemoryStream(archive.ToArray()[..(int)(archive.Length / 3)]);

        Assert.Equal(Names(volume.Mountpoint), Names(restored.Mountpoint));
        Assert.Equal("plain", File.ReadAllText(Path.Combine(restored.Mountpoint, "plain")));
        await Assert.ThrowsAsync<HullException>(() => manager.RestoreAsync(new VolumeRequest { Name = "restored" }, archive, none));
        await Assert.ThrowsAnyAsync<Exception>(() => manager.RestoreAsync(new VolumeRequest { Name = "broken" }, cut, none));
        Assert.DoesNotContain(manager.List(), v => v.Name == "broken");
        Assert.False(Directory.Exists(directory["volumes/broken"]));
        static string Names(string path) => Command.Shell($"cd {path} && find . -printf '%P %y %m %U:%G %l\\n' | sort").Output;
    }

    [Fact]
    public async Task A_link_in_a_volume_does_not_lead_a_copy_outside()
    {
        var volume = await Create("hostile");
        Directory.CreateDirectory(directory["outside"]);
        File.WriteAllText(directory["outside/secret"], "secret");
        File.CreateSymbolicLink(Path.Combine(volume.Mountpoint, "link"), directory["outside"]);
        var clone = await manager.CloneAsync("hostile", null, new VolumeRequest { Name = "copy" }, none);

        Assert.Equal(directory["outside"], new FileInfo(Path.Combine(clone.Mountpoint, "link")).LinkTarget);
        await manager.RemoveAsync("hostile", false, none);
        Assert.True(File.Exists(directory["outside/secret"]));
    }

    [Fact]
    public async Task An_interrupted_creation_is_cleared_and_a_damaged_document_reported()
    {
        await Create("good");
        Directory.CreateDirectory(directory["volumes/half/_data"]);
        Directory.CreateDirectory(directory["volumes/broken/_data"]);
        File.WriteAllText(directory["volumes/broken/volume.json"], "{");
        var log = new List<string>();
        manager = new VolumeManager(directory["volumes"], log: log.Add);

        Assert.Equal(["good"], manager.List().Select(v => v.Name));
        Assert.False(Directory.Exists(directory["volumes/half"]));
        Assert.Contains("broken", Assert.Single(log), StringComparison.Ordinal);
        Assert.True(Directory.Exists(directory["volumes/broken/_data"]));
    }

    private Task<VolumeRecord> Create(string name, Dictionary<string, string>? options = null, Dictionary<string, string>? labels = null) =>
        manager.CreateAsync(new VolumeRequest { Name = name, Options = options ?? [], Labels = labels ?? [] }, none);

    private static void Fill(string path) => Command.Shell($"""
        cd {path} && printf plain > plain && chown 1234:2345 plain && chmod 4751 plain
        ln plain hard && ln -s plain soft && ln -s /etc/passwd outside && mkfifo pipe
        mkdir -m 1777 directory && printf deep > directory/deep && touch -d 2001-02-03T04:05:06Z directory/deep directory
        setfattr -n user.colour -v blue plain 2>/dev/null || true
        """).Ok();

    private static string Describe(string path) =>
        Command.Shell($"cd {path} && find . -printf '%P %y %m %U:%G %T@ %n %l\\n' | sort && cat plain directory/deep && (getfattr -d plain 2>/dev/null || true)").Ok().Output;

    private static List<string> Mounts(string path) =>
        [.. File.ReadLines("/proc/self/mounts").Where(line => line.Split(' ')[1] == path)];
}
