using Hull.Testing;

namespace Hull.RegistryClients.Tests;

/// <summary>Real clients against Hull's registry, and Hull against Debian's: the same digest everywhere.</summary>
public sealed class ClientTests : IDisposable
{
    private readonly TemporaryDirectory _directory = new("hullreg");

    private static string Hull => Repository.Executable("hull");

    private string Root => _directory["hull"];

    public void Dispose()
    {
        // Layers stay mounted below the store for whoever runs a container next.
        Command.Shell($"awk -v d='{_directory.Path}/' 'index($5, d) == 1 {{ print $5 }}' /proc/self/mountinfo | sort -r | xargs -r umount");
        _directory.Dispose();
    }

    /// <summary>An image of busybox in the store, and its digest.</summary>
    private string Bootstrap()
    {
        Require.Program("apt-get");
        return Command.Run(Hull, ["image", "bootstrap", "--root", Root, "--no-unpack", "-q", "busybox"], null, TimeSpan.FromMinutes(2)).Ok().Trimmed;
    }

    private string PushTo(RegistryProcess registry, string name)
    {
        var digest = Bootstrap();
        var pushed = Command.Run(Hull, "push", "--root", Root, "-q", "busybox", $"{registry.Address}/{name}").Ok().Trimmed;
        Assert.Equal(digest, pushed);
        return digest;
    }

    [Fact]
    public void HullPullsWhatItPushed()
    {
        Require.Root();
        using var registry = RegistryProcess.Hull();
        var digest = PushTo(registry, "a/busybox:v1");
        var pulled = Command.Run(Hull, "pull", "--root", _directory["other"], "-q", $"{registry.Address}/a/busybox:v1").Ok().Trimmed;
        Assert.Equal(digest, pulled);
        Command.Run(Hull, "image", "verify", "--root", _directory["other"]).Ok();
    }

    [Fact]
    public void EveryVerbTellsWhatItDidInTheFormatAskedFor()
    {
        Require.Root();
        using var registry = RegistryProcess.Hull();
        var digest = Bootstrap();
        var name = $"{registry.Address}/a/busybox:v1";
        string Said(params string[] words) => Command.Run(Hull, [words[0], "--root", Root, .. words[1..]], null).Ok().Trimmed;
        Assert.Equal(digest, Said("push", "--format", "{{.Digest}}", "busybox", name));
        Assert.Contains($"\"Digest\":\"{digest}\"", Said("pull", "--format", "json", name), StringComparison.Ordinal);
        Said("save", "-o", _directory["a.tar"], name);
        Assert.Equal($"{{\"Untagged\":\"{name}\"}}", Said("rmi", "--format", "json", name));
        Assert.Contains(name, Said("load", "-q", "-i", _directory["a.tar"], "--format", "{{.Name}}").Split('\n'));
        File.WriteAllBytes(_directory["empty.tar"], new byte[1024]);
        Assert.Equal("empty:latest", Said("import", "--format", "{{.Name}}", _directory["empty.tar"], "empty"));
        Assert.Contains("{\"SpaceReclaimed\":\"", Command.Run(Hull, "image", "prune", "--root", Root, "-a", "-f", "--format", "json").Ok().Trimmed, StringComparison.Ordinal);
    }

    [Fact]
    public void SkopeoCopiesInBothDirections()
    {
        var skopeo = Require.Program("skopeo");
        using var registry = RegistryProcess.Hull();
        var digest = PushTo(registry, "a/busybox:v1");
        Assert.Equal(digest, SkopeoDigest(skopeo, $"{registry.Address}/a/busybox:v1"));
        Command.Run(skopeo, "copy", "--src-tls-verify=false", "--dest-tls-verify=false", "--preserve-digests", $"docker://{registry.Address}/a/busybox:v1", $"docker://{registry.Address}/b/copy:v2").Ok();
        Assert.Equal(digest, SkopeoDigest(skopeo, $"{registry.Address}/b/copy:v2"));
        var tags = Command.Run(skopeo, "list-tags", "--tls-verify=false", $"docker://{registry.Address}/b/copy").Ok().Output;
        Assert.Contains("\"v2\"", tags);
        Command.Run(skopeo, "delete", "--tls-verify=false", $"docker://{registry.Address}/b/copy:v2").Ok();
        Assert.NotEqual(0, Command.Run(skopeo, "inspect", "--tls-verify=false", $"docker://{registry.Address}/b/copy:v2").ExitCode);
    }

    [Fact]
    public void LayersOfZstdAreUnpacked()
    {
        Require.Root();
        var skopeo = Require.Program("skopeo");
        using var registry = RegistryProcess.Hull();
        // In the same registry skopeo would mount the gzip layer that it remembers to be the same content.
        using var fresh = RegistryProcess.Hull();
        PushTo(registry, "a/busybox:v1");
        Command.Run(skopeo, "copy", "--src-tls-verify=false", $"docker://{registry.Address}/a/busybox:v1", $"dir:{_directory["plain"]}").Ok();
        Command.Run(skopeo, "copy", "--dest-decompress", $"dir:{_directory["plain"]}", $"dir:{_directory["open"]}").Ok();
        Command.Run(skopeo, "copy", "--dest-tls-verify=false", "--dest-compress-format", "zstd", $"dir:{_directory["open"]}", $"docker://{fresh.Address}/z/busybox:v1").Ok();
        Assert.Contains("+zstd", Command.Run(skopeo, "inspect", "--raw", "--tls-verify=false", $"docker://{fresh.Address}/z/busybox:v1").Ok().Output);
        Command.Run(Hull, "pull", "--root", _directory["other"], "-q", $"{fresh.Address}/z/busybox:v1").Ok();
        Command.Run(Hull, "image", "verify", "--root", _directory["other"]).Ok();
    }

    [Theory]
    [InlineData("podman")]
    [InlineData("buildah")]
    public void PodmanAndBuildahPullAndPush(string name)
    {
        Require.Root();
        var program = Require.Program(name);
        var skopeo = Require.Program("skopeo");
        using var registry = RegistryProcess.Hull();
        var digest = PushTo(registry, "a/busybox:v1");
        string[] storage = ["--root", _directory["storage"], "--runroot", _directory["run"], "--storage-driver", "vfs"];
        try
        {
            Command.Run(program, [.. storage, "pull", "-q", "--tls-verify=false", $"{registry.Address}/a/busybox:v1"], null).Ok();
            Command.Run(program, [.. storage, "push", "--tls-verify=false", $"{registry.Address}/a/busybox:v1", $"{registry.Address}/c/busybox:v3"], null).Ok();
            // The layers were compressed anew, so the digest is another; but the image is whole, and Hull takes it.
            Command.Run(Hull, "pull", "--root", _directory["other"], "-q", "--no-unpack", $"{registry.Address}/c/busybox:v3").Ok();
            Assert.Equal(digest, SkopeoDigest(skopeo, $"{registry.Address}/a/busybox:v1"));
        }
        finally
        {
            Command.Run(program, [.. storage, "rmi", "-a", "-f"], null);
        }
    }

    [Fact]
    public void DebiansRegistryAndHullGiveTheSameDigest()
    {
        Require.Root();
        var skopeo = Require.Program("skopeo");
        using var debian = RegistryProcess.Debian();
        using var registry = RegistryProcess.Hull();
        var digest = PushTo(debian, "a/busybox:v1");
        Assert.Equal(digest, SkopeoDigest(skopeo, $"{debian.Address}/a/busybox:v1"));
        Command.Run(skopeo, "copy", "--src-tls-verify=false", "--dest-tls-verify=false", "--preserve-digests", $"docker://{debian.Address}/a/busybox:v1", $"docker://{registry.Address}/a/busybox:v1").Ok();
        foreach (var address in (string[])[debian.Address, registry.Address])
        {
            var pulled = Command.Run(Hull, "pull", "--root", _directory["pull-" + address.Split(':')[1]], "-q", $"{address}/a/busybox:v1").Ok().Trimmed;
            Assert.Equal(digest, pulled);
        }
    }

    [Fact]
    public void PasswordsAndLoginsWork()
    {
        var users = _directory["users"];
        File.WriteAllText(users, "me:$2y$05$abcdefghijklmnopqrstuuOQiyCxlgf/oeuTqixKmWdcYUh4Hjl0a\n");
        using var registry = RegistryProcess.Hull("--htpasswd", users);
        Bootstrap();
        var environment = new Dictionary<string, string?> { ["DOCKER_CONFIG"] = _directory["docker"], ["HULL_ROOT"] = Root };
        string[] push = ["push", "-q", "busybox", $"{registry.Address}/a/busybox"];
        var refused = Command.Run(Hull, push, null, environment: environment);
        Assert.NotEqual(0, refused.ExitCode);
        Assert.Contains("hull login", refused.Error);

        Assert.NotEqual(0, Command.Run(Hull, ["login", "-u", "me", "--password-stdin", registry.Address], "wrong\n", environment: environment).ExitCode);
        Assert.Contains("Login Succeeded", Command.Run(Hull, ["login", "-u", "me", "--password-stdin", registry.Address], "secret\n", environment: environment).Ok().Output);
        Command.Run(Hull, push, null, environment: environment).Ok();
        Command.Run(Hull, ["logout", registry.Address], null, environment: environment).Ok();
        Assert.NotEqual(0, Command.Run(Hull, push, null, environment: environment).ExitCode);
    }

    [Fact]
    public void AMirrorServesWhatItsRegistryHas()
    {
        using var upstream = RegistryProcess.Hull();
        var digest = PushTo(upstream, "a/busybox:v1");
        using var mirror = RegistryProcess.Hull("--mirror", upstream.Address, "--insecure-upstream");
        var settings = _directory["registries.json"];
        File.WriteAllText(settings, $$"""{"registries":{"{{upstream.Address}}":{"mirrors":["http://{{mirror.Address}}"]} } }""");
        var environment = new Dictionary<string, string?> { ["HULL_REGISTRIES"] = settings };
        string[] pull(string root) => ["pull", "--root", _directory[root], "-q", "--no-unpack", $"{upstream.Address}/a/busybox:v1"];
        Assert.Equal(digest, Command.Run(Hull, pull("one"), null, environment: environment).Ok().Trimmed);
        Assert.NotEqual(0, Command.Run(Hull, "push", "--root", Root, "-q", "busybox", $"{mirror.Address}/a/busybox:v2").ExitCode);
        var tags = Command.Run("curl", "-s", $"http://{mirror.Address}/v2/a/busybox/tags/list").Ok().Output;
        Assert.Contains("v1", tags);
        Assert.Equal(digest, Command.Run(Hull, "pull", "--root", _directory["two"], "-q", "--no-unpack", $"{mirror.Address}/a/busybox:v1").Ok().Trimmed);
    }

    [Fact]
    public void TlsIsServedAndItsAuthorityChecked()
    {
        var openssl = Require.Program("openssl");
        Command.Run(openssl, "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2", "-subj", "/CN=localhost",
            "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1", "-keyout", _directory["key.pem"], "-out", _directory["cert.pem"]).Ok();
        using var registry = RegistryProcess.Hull("--tls-cert", _directory["cert.pem"], "--tls-key", _directory["key.pem"]);
        Bootstrap();
        Command.Run("curl", "-sf", "--cacert", _directory["cert.pem"], $"https://{registry.Address}/v2/").Ok();
        Command.Run(Hull, "push", "--root", Root, "-q", "--insecure", "busybox", $"{registry.Address}/a/busybox:v1").Ok();
    }

    [Fact]
    public void ARegistryThatIsNotThereIsOneError()
    {
        var failed = Command.Run(Hull, "pull", "--root", _directory["none"], "127.0.0.1:1/a/b");
        Assert.NotEqual(0, failed.ExitCode);
        Assert.Contains("cannot be reached", failed.Error);
    }

    private static string SkopeoDigest(string skopeo, string name) =>
        Command.Run(skopeo, "inspect", "--tls-verify=false", "--format", "{{.Digest}}", "docker://" + name).Ok().Trimmed;
}
