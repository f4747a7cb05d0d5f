using System.Diagnostics;
using Hull.Core;
using Hull.Images;
using Hull.Images.Content;
using Hull.Images.Snapshots;
using Hull.Testing;

namespace Hull.ImagesFaults.Tests;

/// <summary>
/// The real <c>hull</c> command is killed at random moments of its work on the store, and the registry at random moments of
/// pushes. After each kill the store verifies, and the next command works. HULL_SOAK=1 kills a thousand times.
/// </summary>
public sealed class KillTests : IDisposable
{
    private static readonly int Rounds = Environment.GetEnvironmentVariable("HULL_SOAK") == "1" ? 1000 : 24;

    private readonly TemporaryDirectory _directory = new("images-kill");

    public void Dispose()
    {
        foreach (var path in (string[])[_directory["store/snapshots/erofs"], _directory["other/snapshots/erofs"]])
        {
            if (Directory.Exists(path)) new ErofsSnapshotter(path).UnmountLayers();
        }

        _directory.Dispose();
    }

    [Fact]
    public void A_killed_registry_leaves_a_store_that_verifies_and_works()
    {
        Require.Root();
        var hull = Repository.Executable("hull");
        var archive = MakeArchive(hull);
        Command.Run(hull, ["load", "--root", _directory["store"], "-i", archive], null).Ok();
        var root = _directory["registry"];
        var seed = Environment.TickCount;
        var random = new Random(seed);
        for (var round = 0; round < Rounds / 4; round++)
        {
            using (var registry = RegistryProcess.Hull("--root", root))
            {
                var push = Push(hull, registry.Address, round);
                Thread.Sleep(random.Next(0, 300));
                registry.Kill();
                // The client goes on trying for a while, by itself.
                push.Kill();
                push.WaitForExit();
                push.Dispose();
            }

            foreach (var digest in ContentStore.Open(root).Blobs())
            {
                using var blob = ContentStore.Open(root).OpenRead(digest);
                using var hash = new ContentHash(digest.Algorithm);
                hash.Append(blob);
                Assert.True(hash.Current() == digest, $"seed {seed}, round {round}: {digest}");
            }

            using var again = RegistryProcess.Hull("--root", root);
            using (var push = Push(hull, again.Address, round)) Assert.True(push.WaitForExit(60_000) && push.ExitCode == 0, $"seed {seed}, round {round}");
            Command.Run(hull, ["pull", "--root", _directory["other"], $"{again.Address}/r{round}/fault:1"], null).Ok();
        }
    }

    private Process Push(string hull, string address, int round)
    {
        var name = $"{address}/r{round}/fault:1";
        Command.Run(hull, ["tag", "--root", _directory["store"], "fault:1", name], null).Ok();
        return Process.Start(new ProcessStartInfo(hull, ["push", "-q", "--root", _directory["store"], name]) { RedirectStandardError = true, RedirectStandardOutput = true })!;
    }

    [Fact]
    public void A_killed_command_leaves_a_store_that_verifies_and_works()
    {
        Require.Root();
        var hull = Repository.Executable("hull");
        var archive = MakeArchive(hull);
        using var registry = RegistryProcess.Hull();
        var remote = registry.Address + "/fault:1";
        Command.Run(hull, ["tag", "--root", _directory["store"], "fault:1", remote], null).Ok();
        Command.Run(hull, ["push", "--root", _directory["store"], remote], null).Ok();
        // A pull unpacks; removing the last name of an image and pruning collect garbage.
        string[][] commands =
        [
            ["load", "-i", archive], ["tag", "fault:1", "fault:2"], ["rmi", "-f", "fault:1"], ["load", "-i", archive],
            ["image", "prune", "-a", "-f"], ["pull", remote], ["rmi", "-f", "fault:2"], ["rmi", "-f", remote], ["pull", remote],
            ["image", "prune", "-a", "-f"], ["pull", remote],
        ];
        var seed = Environment.TickCount;
        var random = new Random(seed);
        for (var round = 0; round < Rounds; round++)
        {
            var command = commands[round % commands.Length];
            RunAndKill(hull, command, random.Next(0, 250));
            var images = ImageService.Open(_directory["store"]);
            var report = images.Verify();
            Assert.True(report.Clean, $"seed {seed}, round {round}, {string.Join(' ', command)}: {string.Join("; ", report.Problems)}");
            if (round % 6 != 5) continue;
            Command.Run(hull, ["load", "--root", _directory["store"], "-i", archive], null).Ok();
            Assert.NotNull(images.Find("fault:1"));
            Command.Run(hull, ["pull", "--root", _directory["store"], remote], null).Ok();
            Assert.NotNull(images.Find(remote));
        }

        var store = ImageService.Open(_directory["store"]);
        store.CollectGarbage();
        Assert.True(store.Verify().Clean);
        Assert.Empty(Directory.GetFiles(_directory["store/content/leases"]));
        Assert.Empty(Directory.GetFiles(_directory["store/content/trash"]));
    }

    private string MakeArchive(string hull)
    {
        Directory.CreateDirectory(_directory["tree/d"]);
        var random = new Random(1);
        for (var i = 0; i < 300; i++)
        {
            var bytes = new byte[random.Next(10, 60_000)];
            random.NextBytes(bytes);
            File.WriteAllBytes(_directory[$"tree/d/{i}"], bytes);
        }

        Command.Shell($"tar -C {_directory["tree"]} -cf {_directory["tree.tar"]} .").Ok();
        Command.Run(hull, ["import", "--root", _directory["store"], _directory["tree.tar"], "fault:1"], null).Ok();
        Command.Run(hull, ["save", "--root", _directory["store"], "-o", _directory["archive.tar"], "fault:1"], null).Ok();
        return _directory["archive.tar"];
    }

    private void RunAndKill(string hull, string[] command, int milliseconds)
    {
        var start = new ProcessStartInfo(hull) { RedirectStandardError = true, RedirectStandardOutput = true };
        foreach (var argument in command) start.ArgumentList.Add(argument);
        start.Environment["HULL_ROOT"] = _directory["store"];
        using var process = Process.Start(start)!;
        if (!process.WaitForExit(milliseconds)) process.Kill();
        process.WaitForExit();
    }
}
