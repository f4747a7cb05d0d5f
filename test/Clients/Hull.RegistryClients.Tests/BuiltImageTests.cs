using System.Diagnostics;
using Hull.Testing;

namespace Hull.RegistryClients.Tests;

/// <summary>
/// An image somebody else built goes through a registry to hull, docker and podman: the same digest everywhere, and the tree
/// that umoci makes of it. dockerd builds with its classic builder.
/// </summary>
public sealed class BuiltImageTests : IDisposable
{
    private readonly TemporaryDirectory _directory = new("hullreg");
    private Process? _daemon;
    private FileStream? _lock;

    private string DockerHost => "unix://" + _directory["d.sock"];

    private string[] Storage => ["--root", _directory["storage"], "--runroot", _directory["run"], "--storage-driver", "vfs"];

    [Theory]
    [InlineData("buildah", true)]
    [InlineData("docker", true)]
    [InlineData("buildah", false)]
    [InlineData("docker", false)]
    public void IsTheSameForEveryone(string builder, bool hullsRegistry)
    {
        Require.Root();
        foreach (var program in (string[])["buildah", "podman", "skopeo", "umoci", "docker", "dockerd"]) Require.Program(program);
        StartDocker();
        using var registry = hullsRegistry ? RegistryProcess.Hull() : RegistryProcess.Debian();
        var name = $"{registry.Address}/built/{builder}:v1";

        Build(builder, name);
        var digest = Command.Run("skopeo", "inspect", "--tls-verify=false", "--format", "{{.Digest}}", "docker://" + name).Ok().Trimmed;
        var hull = Repository.Executable("hull");
        Assert.Equal(digest, Command.Run(hull, "pull", "--root", _directory["hull"], "-q", name).Ok().Trimmed);
        Docker("rmi", "-f", name);
        Docker("pull", "-q", name).Ok();
        Assert.EndsWith("@" + digest, Docker("image", "inspect", "--format", "{{index .RepoDigests 0}}", name).Ok().Trimmed);
        Command.Run("podman", [.. Storage, "pull", "-q", "--tls-verify=false", name], null).Ok();
        Assert.Equal(digest, Command.Run("podman", [.. Storage, "image", "inspect", "--format", "{{.Digest}}", name], null).Ok().Trimmed);

        SpecialTree.Shell($"""
            mkdir {_directory["ours"]} && {hull} image export --root {_directory["hull"]} {name} | tar -x --delay-directory-restore --xattrs --xattrs-include='*' --numeric-owner -p -C {_directory["ours"]}
            skopeo copy -q --src-tls-verify=false docker://{name} oci:{_directory["oci"]}:v1
            umoci unpack --image {_directory["oci"]}:v1 {_directory["bundle"]}
            """);
        var expected = SpecialTree.List(_directory["bundle/rootfs"]);
        Assert.Contains("4755", expected);
        Assert.Equal(expected, SpecialTree.List(_directory["ours"]));
    }

    public void Dispose()
    {
        Command.Run("podman", [.. Storage, "rmi", "-a", "-f"], null);
        if (_daemon is not null)
        {
            // SIGTERM: a killed dockerd leaves its containerd behind.
            Command.Run("kill", _daemon.Id.ToString(System.Globalization.CultureInfo.InvariantCulture));
            if (!_daemon.WaitForExit(20_000)) _daemon.Kill(entireProcessTree: true);
            _daemon.Dispose();
        }

        _lock?.Dispose();
        // Layers stay mounted below the store for whoever runs a container next.
        Command.Shell($"awk -v d='{_directory.Path}/' 'index($5, d) == 1 {{ print $5 }}' /proc/self/mountinfo | sort -r | xargs -r umount");
        _directory.Dispose();
    }

    /// <summary>Builds an image of two layers and brings it to the registry by skopeo.</summary>
    private void Build(string builder, string name)
    {
        Directory.CreateDirectory(_directory["context"]);
        SpecialTree.Archive(_directory["tree.tar"]);
        File.Move(_directory["tree.tar"], _directory["context/tree.tar"]);
        File.WriteAllText(_directory["context/more"], "more");
        File.WriteAllText(_directory["context/Dockerfile"], "FROM scratch\nADD tree.tar /\nCOPY more /sub/deep/more\nCMD [\"/suid\"]\n");
        string[] target = ["--dest-tls-verify=false", "docker://" + name];
        if (builder == "docker")
        {
            Docker("build", "-q", "-t", name, _directory["context"]).Ok();
            Command.Run("skopeo", ["copy", "-q", "--src-daemon-host", DockerHost, "docker-daemon:" + name, .. target], null).Ok();
        }
        else
        {
            Command.Run(builder, [.. Storage, "build", "-q", "-t", name, _directory["context"]], null).Ok();
            Command.Run("skopeo", ["copy", "-q", $"containers-storage:[vfs@{_directory["storage"]}+{_directory["run"]}]{name}", .. target], null).Ok();
            Command.Run(builder, [.. Storage, "rmi", "-a", "-f"], null).Ok();
        }
    }

    private void StartDocker()
    {
        _lock = DockerLock.Take();
        File.WriteAllText(_directory["daemon.json"], "{}");
        var start = new ProcessStartInfo("dockerd",
        [
            "--config-file", _directory["daemon.json"], "--data-root", _directory["docker"], "--exec-root", _directory["docker-run"], "--pidfile", _directory["d.pid"],
            "--host", DockerHost, "--bridge", "none", "--iptables=false", "--ip6tables=false", "--storage-driver", "vfs",
        ]) { RedirectStandardOutput = true, RedirectStandardError = true };
        _daemon = Process.Start(start) ?? throw new InvalidOperationException("dockerd did not start");
        _ = _daemon.StandardOutput.ReadToEndAsync();
        _ = _daemon.StandardError.ReadToEndAsync();
        for (var i = 0; i < 300 && Docker("version").ExitCode != 0; i++) Thread.Sleep(100);
    }

    private CommandResult Docker(params string[] arguments) => Command.Run("docker", ["--host", DockerHost, .. arguments], null,
        environment: new Dictionary<string, string?> { ["DOCKER_BUILDKIT"] = "0" });
}
