using Hull.Core;
using Hull.Oci.Image;

namespace Hull.Images.Bootstrap;

/// <summary>How an image is made of a distribution's packages.</summary>
/// <param name="Reference">What the image is called.</param>
/// <param name="Suite">Release of Debian, such as <c>bookworm</c>; null means that of this machine.</param>
/// <param name="Base">The recipe whose layers lie below; null for a base image.</param>
/// <param name="Packages">Packages installed on top of the base, or beside the essential ones.</param>
/// <param name="Slim">Leaves out manual pages, documentation and translations.</param>
/// <param name="Config">What containers of the image run as.</param>
public sealed record BootstrapRecipe(
    ImageReference Reference, string? Suite, BootstrapRecipe? Base, IReadOnlyList<string> Packages, bool Slim, ContainerDefaults Config)
{
    /// <summary>Shell lines run after the packages are installed; <c>$1</c> is the root directory.</summary>
    public IReadOnlyList<string> Hooks { get; init; } = [];

    /// <summary>Programs of Hull's own (in <c>Programs</c> beside this file) that go to <c>/usr/local/bin</c>.</summary>
    public IReadOnlyList<string> Programs { get; init; } = [];

    /// <summary>The one recipe that is not a Debian system.</summary>
    public bool IsBusybox { get; init; }

    private static ContainerDefaults Shell(params string[] command) => new()
    {
        Env = ["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"],
        Cmd = command,
    };

    /// <summary>The names <see cref="Find"/> knows, for help.</summary>
    public static IReadOnlyList<string> Names { get; } =
        ["busybox", "debian:SUITE", "debian:SUITE-slim", "python", "node", "nginx", "redis", "postgres"];

    /// <summary>The recipe of a name such as <c>debian:bookworm-slim</c>; throws <see cref="ErrorKind.NotFound"/>.</summary>
    public static BootstrapRecipe Find(string name)
    {
        var reference = ImageReference.Parse(name).WithDefaultTag();
        if (reference.Domain != ImageReference.DefaultDomain || reference.Tag is null || reference.Digest is not null) throw Unknown(name);
        return reference.FamiliarName switch
        {
            "busybox" => new BootstrapRecipe(reference, null, null, ["busybox-static"], Slim: true, Shell("sh")) { IsBusybox = true },
            "debian" => Debian(reference, name),
            var application when reference.Tag == ImageReference.DefaultTag => Application(application, reference) ?? throw Unknown(name),
            _ => throw Unknown(name),
        };
    }

    private static BootstrapRecipe Debian(ImageReference reference, string name)
    {
        const string Ending = "-slim";
        var tag = reference.Tag!;
        var slim = tag.EndsWith(Ending, StringComparison.Ordinal);
        var suite = slim ? tag[..^Ending.Length] : tag;
        if (suite == ImageReference.DefaultTag) return new BootstrapRecipe(reference, null, null, [], slim, Shell("bash"));
        if (suite.Length == 0 || !suite.All(char.IsAsciiLetterLower)) throw Unknown(name);
        return new BootstrapRecipe(reference, suite, null, [], slim, Shell("bash"));
    }

    private static BootstrapRecipe? Application(string name, ImageReference reference)
    {
        BootstrapRecipe On(string[] packages, ContainerDefaults config, params string[] hooks) =>
            new(reference, null, SlimBase(), packages, Slim: true, config) { Hooks = hooks };

        return name switch
        {
            "python" => On(["python3", "ca-certificates"], Shell("python3"), "ln -s /usr/bin/python3 \"$1\"/usr/local/bin/python"),
            "node" => On(["nodejs", "ca-certificates"], Shell("node")),
            "nginx" => On(["nginx-light", "ca-certificates"], Shell("nginx", "-g", "daemon off;") with
            {
                ExposedPorts = Set("80/tcp"),
                StopSignal = "SIGQUIT",
            },
                "ln -sf /dev/stdout \"$1\"/var/log/nginx/access.log", "ln -sf /dev/stderr \"$1\"/var/log/nginx/error.log",
                // The places that people mount their pages and servers to.
                "rm \"$1\"/etc/nginx/sites-enabled/default",
                "echo 'server { listen 80 default_server; listen [::]:80 default_server; root /usr/share/nginx/html; }' > \"$1\"/etc/nginx/conf.d/default.conf"),
            "redis" => On(["redis-server"], Shell("redis-server") with
            {
                Entrypoint = ["redis-start"],
                ExposedPorts = Set("6379/tcp"),
                Volumes = Set("/data"),
                WorkingDir = "/data",
                User = "redis",
            },
                "mkdir \"$1\"/data", "chroot \"$1\" chown redis:redis /data") with { Programs = ["redis-start"] },
            "postgres" => On(["postgresql"], PostgresConfig(), PostgresHooks()) with { Programs = ["postgres-start"] },
            _ => null,
        };
    }

    /// <summary>The base of the applications: the slim system of this machine's release.</summary>
    private static BootstrapRecipe SlimBase() => Find("debian:" + HostRelease.Codename() + "-slim");

    private static ContainerDefaults PostgresConfig() => new()
    {
        Env = ["PATH=/usr/lib/postgresql/current/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "PGDATA=/var/lib/postgresql/data", "LANG=C.UTF-8"],
        Entrypoint = ["postgres-start"],
        Cmd = ["postgres"],
        ExposedPorts = Set("5432/tcp"),
        Volumes = Set("/var/lib/postgresql/data"),
        User = "postgres",
        StopSignal = "SIGINT",
    };

    private static string[] PostgresHooks() =>
    [
        // One name for the only version there is, and no cluster of the package's own making.
        "ln -s \"$(ls \"$1\"/usr/lib/postgresql)\" \"$1\"/usr/lib/postgresql/current",
        "rm -rf \"$1\"/var/lib/postgresql/*/main \"$1\"/etc/postgresql/*/main",
        "install -d -m 700 \"$1\"/var/lib/postgresql/data; chroot \"$1\" chown -R postgres:postgres /var/lib/postgresql",
        "install -d -m 2775 \"$1\"/run/postgresql; chroot \"$1\" chown postgres:postgres /run/postgresql",
        "mkdir \"$1\"/docker-entrypoint-initdb.d",
    ];

    private static Dictionary<string, Empty> Set(string key) => new() { [key] = Empty.Value };

    private static HullException Unknown(string name) =>
        HullException.NotFound($"no recipe for '{name}': there are {string.Join(", ", Names)}");
}
