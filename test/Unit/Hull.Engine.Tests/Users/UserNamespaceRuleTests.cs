using Hull.Core;
using Hull.Engine.Users;
using Hull.Oci.Runtime;
using Hull.Testing;

namespace Hull.Engine.Tests.Users;

public sealed class UserNamespaceRuleTests : IDisposable
{
    private readonly TemporaryDirectory directory = new("subid");

    [Theory]
    [InlineData(null, UserNamespaceKind.Default, 65536u, "")]
    [InlineData("host", UserNamespaceKind.Host, 65536u, "")]
    [InlineData("private", UserNamespaceKind.Private, 65536u, "")]
    [InlineData("auto", UserNamespaceKind.Auto, 65536u, "")]
    [InlineData("auto:size=1000", UserNamespaceKind.Auto, 1000u, "")]
    [InlineData("container:web", UserNamespaceKind.Joined, 65536u, "web")]
    public void Modes_are_read(string? text, UserNamespaceKind kind, uint size, string workload) =>
        Assert.Equal(new UserNamespaceMode(kind, size, workload), UserNamespaceMode.Parse(text));

    [Theory]
    [InlineData("auto:size=0")]
    [InlineData("auto:size=-1")]
    [InlineData("auto:size=4294967295")]
    [InlineData("auto:")]
    [InlineData("host:x")]
    [InlineData("container:")]
    [InlineData("ns:/proc/1/ns/user")]
    public void What_is_no_mode_is_refused(string text) =>
        Assert.Equal(ErrorKind.InvalidArgument, Assert.Throws<HullException>(() => UserNamespaceMode.Parse(text)).Kind);

    [Fact]
    public void Modes_of_engines_that_ordinary_users_run_are_unsupported() =>
        Assert.Equal(ErrorKind.Unsupported, Assert.Throws<HullException>(() => UserNamespaceMode.Parse("nomap")).Kind);

    [Fact]
    public void A_remap_has_all_ranges_of_its_user_and_group_one_after_the_other()
    {
        var ids = Files("# comment\nother:1000:5\nme:100000:65536\n1234:300000:10\nbroken:x:1\nme:200000:4\n", "team:500000:70000\n");
        File.WriteAllText(directory["passwd"], "me:x:1234:1234::/:/bin/sh\n");
        File.WriteAllText(directory["group"], "team:x:77:\n");
        foreach (var setting in (string[])["me:team", "1234:77"])
        {
            var map = ids.Remap(setting)!;
            Assert.Equal([Map(0, 100000, 65536), Map(65536, 300000, 10), Map(65546, 200000, 4)], map.Users);
            Assert.Equal([Map(0, 500000, 70000)], map.Groups);
            Assert.Equal((100000u, 500000u), (map.RootUser, map.RootGroup));
        }
    }

    [Theory]
    [InlineData("")]
    [InlineData("a:b:c")]
    [InlineData("me:")]
    public void A_remap_that_names_nobody_is_refused(string setting) =>
        Assert.Equal(ErrorKind.InvalidArgument, Assert.Throws<HullException>(() => Files("", "").Remap(setting)).Kind);

    [Fact]
    public void Who_has_no_range_is_told_the_line_to_add()
    {
        var error = Assert.Throws<HullException>(() => Files("other:100000:65536\n", "").Remap("me"));
        Assert.Equal(ErrorKind.Unsupported, error.Kind);
        Assert.Contains("me:165536:65536", error.Message);
    }

    [Fact]
    public void The_default_remap_sets_a_range_aside_once_and_beyond_all_others()
    {
        var ids = Files("other:100000:65536", "");
        Assert.Null(ids.Remap("default", reserve: false));
        Assert.Equal("other:100000:65536", File.ReadAllText(directory["subuid"]));
        var map = ids.Remap("default")!;
        Assert.Equal([Map(0, 165536, 65536)], map.Users);
        Assert.Equal([Map(0, 100000, 65536)], map.Groups);
        Assert.True(map.IsSame(ids.Remap("default")));
        Assert.Equal("other:100000:65536\ndockremap:165536:65536\n", File.ReadAllText(directory["subuid"]));
    }

    [Fact]
    public void Ranges_of_their_own_touch_no_other()
    {
        HostRange[] setAside = [new(1000, 100), new(5000, 1000)];
        var taken = new List<IdMapping>();
        for (var i = 0; i < 21; i++) taken.AddRange(IdRanges.Allocate(setAside, taken, 50, "user"));
        var ids = taken.SelectMany(range => Enumerable.Range((int)range.HostId, (int)range.Size)).ToList();
        Assert.Equal(ids.Count, ids.Distinct().Count());
        Assert.All(ids, id => Assert.True(id is (>= 1000 and < 1100) or (>= 5000 and < 6000)));

        // What goes makes room; what is too large for any gap fits nowhere.
        Assert.Equal(Map(0, 5950, 50), Assert.Single(IdRanges.Allocate(setAside, taken, 50, "user")));
        taken.RemoveAt(1);
        Assert.Equal(Map(0, 1050, 50), Assert.Single(IdRanges.Allocate(setAside, taken, 50, "user")));
        Assert.Equal(ErrorKind.ResourceExhausted, Assert.Throws<HullException>(() => IdRanges.Allocate(setAside, taken, 51, "user")).Kind);
    }

    public void Dispose() => directory.Dispose();

    private static IdMapping Map(uint inside, uint outside, uint count) => new() { ContainerId = inside, HostId = outside, Size = count };

    private SubordinateIds Files(string users, string groups)
    {
        File.WriteAllText(directory["subuid"], users);
        File.WriteAllText(directory["subgid"], groups);
        return new SubordinateIds(directory["subuid"], directory["subgid"], directory.Path);
    }
}
