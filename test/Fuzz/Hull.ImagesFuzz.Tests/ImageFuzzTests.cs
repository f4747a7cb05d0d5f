using System.Text;
using Hull.Core;
using Hull.Core.Tar;
using Hull.Images.Archive;
using Hull.Images.Distribution;
using Hull.Images.Snapshots.Erofs;
using Hull.Oci.Image;
using Hull.Testing;

namespace Hull.ImagesFuzz.Tests;

/// <summary>What the store and the client read of others, damaged.</summary>
public class ImageFuzzTests
{
    [Fact]
    public void Damaged_tars_are_read_or_refused()
    {
        using var directory = new TemporaryDirectory("images-fuzz");
        var corpus = Tars(directory).ToList();
        Damaged.Try(corpus, 3000, bytes =>
        {
            using var image = File.OpenHandle(directory["image"], FileMode.Create, FileAccess.ReadWrite);
            var limits = new UnpackLimits { MaxFileSize = 64 << 20, MaxLayerSize = 16 << 20 };
            var writer = new ErofsWriter(image, limits);
            var (diffId, _) = LayerUnpacker.Unpack(new MemoryStream(bytes), writer, limits);
            writer.Finish(diffId);
        });
    }

    [Fact]
    public void Damaged_compressed_layers_are_read_or_refused()
    {
        using var directory = new TemporaryDirectory("images-fuzz");
        File.WriteAllText(directory["f"], string.Concat(Enumerable.Range(0, 3000)));
        Command.Shell($"cd {directory.Path} && gzip -k f && zstd -q -k f || true").Ok();
        var corpus = Directory.GetFiles(directory.Path).Select(File.ReadAllBytes).ToList();
        corpus.Add([0x28, 0xB5, 0x2F, 0xFD, 0x20, 5, 0x29, 0, 0, .. "hello"u8]);
        Damaged.Try(corpus, 3000, bytes =>
        {
            using var stream = LayerStream.Open(new MemoryStream(bytes), new UnpackLimits { MaxLayerSize = 1 << 20 });
            stream.CopyTo(Stream.Null);
        });
    }

    [Fact]
    public void Damaged_manifests_are_read_or_refused()
    {
        var layer = new Descriptor { MediaType = MediaTypes.OciLayerGzip, Digest = Digest.Sha256("l"u8), Size = 5 };
        var manifest = new ImageManifest { Config = layer with { MediaType = MediaTypes.OciConfig }, Layers = [layer], Subject = layer };
        var config = new ImageConfig
        {
            Created = DateTimeOffset.UnixEpoch, Architecture = "amd64", Os = "linux", RootFs = new RootFileSystem { DiffIds = [layer.Digest] },
            Config = new ContainerDefaults { Env = ["A=b"], Volumes = new Dictionary<string, Empty> { ["/v"] = Empty.Value }, Healthcheck = new HealthCheck { Interval = 5 } },
            History = [new HistoryEntry { CreatedBy = "x", EmptyLayer = true }],
        };
        List<byte[]> corpus = [ImageJson.Serialize(manifest), ImageJson.Serialize(new ImageIndex { Manifests = [layer] }), ImageJson.Serialize(config)];
        Damaged.Try(corpus, 30_000, bytes =>
        {
            var document = ImageDocument.Parse(bytes);
            Assert.NotNull(document.Children.ToList());
        });
        Damaged.Try(corpus, 30_000, bytes => ImageDocument.ParseConfig(bytes));
    }

    [Fact]
    public void Damaged_references_are_read_or_refused()
    {
        var corpus = ((string[])["busybox", "docker.io/library/debian:bookworm-slim", "localhost:5000/a/b_c/d-e@sha256:" + new string('a', 64), "[::1]:5000/x:1.0"])
            .Select(Encoding.UTF8.GetBytes).ToList();
        Damaged.Try(corpus, 60_000, bytes =>
        {
            var reference = ImageReference.Parse(Encoding.UTF8.GetString(bytes));
            Assert.Equal(reference, ImageReference.Parse(reference.Canonical));
            Assert.Equal(reference, ImageReference.Parse(reference.Familiar));
        });
    }

    [Fact]
    public void Damaged_challenges_are_read_within_bounds()
    {
        var corpus = ((string[])
        [
            "Bearer realm=\"https://auth.example/token\",service=\"registry.example\",scope=\"repository:a/b:pull,push\"",
            "Negotiate, Basic realm=\"a \\\"quoted\\\" one\", charset=\"UTF-8\"", "Digest qop=\"auth, auth-int\", nonce=abc==, Bearer realm=x",
        ]).Select(Encoding.UTF8.GetBytes).ToList();
        Damaged.Try(corpus, 60_000, bytes =>
        {
            foreach (var challenge in AuthChallenge.Parse(Encoding.UTF8.GetString(bytes)))
            {
                Assert.NotEmpty(challenge.Scheme);
                Assert.InRange(challenge.Parameters.Count, 0, 32);
            }
        });
    }

    [Fact]
    public void Damaged_login_and_registry_files_are_read_or_refused()
    {
        using var directory = new TemporaryDirectory("images-fuzz");
        List<byte[]> settings =
        [
            """{"registries":{"docker.io":{"mirrors":["https://m.example","http://127.0.0.1:5000/x"]},"10.0.0.1:5000":{"insecure":true}},"layers":{"maxSize":9999,"maxRatio":5}}"""u8.ToArray(),
        ];
        Damaged.Try(settings, 2000, bytes =>
        {
            File.WriteAllBytes(directory["file"], bytes);
            var settings = RegistriesConfig.Load(directory["file"]);
            _ = settings.Layers.ToLimits();
            Assert.NotNull(settings.WithInsecure("10.0.0.1:5000").For("docker.io").Mirrors);
        });
        List<byte[]> logins = ["""{"auths":{"a.example":{"auth":"dTpw"},"https://index.docker.io/v1/":{"identitytoken":"x"}},"credHelpers":{"b.example":"b"}}"""u8.ToArray()];
        Damaged.Try(logins, 2000, bytes =>
        {
            File.WriteAllBytes(directory["config.json"], bytes);
            _ = DockerConfig.Load([directory["config.json"]]).FindAsync("a.example").GetAwaiter().GetResult();
        });
    }

    private static IEnumerable<byte[]> Tars(TemporaryDirectory directory)
    {
        Directory.CreateDirectory(directory["t/d"]);
        Command.Run("/bin/sh", ["-c", "echo 1 > a; ln a b; ln -s a c; mkfifo f; head -c 5000 /dev/zero > d/z; truncate -s 1M s; echo x >> s; echo y > $(printf 'n%.0s' $(seq 1 150)); setfattr -n user.x -v y a || true"], null, directory: directory["t"]).Ok();
        foreach (var format in (string[])["ustar --exclude=s", "pax --xattrs --sparse", "gnu --sparse", "v7 --exclude=n*", "pax --sparse --sparse-version=0.0", "pax --sparse --sparse-version=0.1"])
        {
            if (Command.Shell($"cd {directory["t"]} && tar --format={format} -cf ../tar .").ExitCode == 0) yield return File.ReadAllBytes(directory["tar"]);
        }
    }
}
