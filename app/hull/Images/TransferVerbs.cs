using Hull.Cli.Verbs;
using Hull.Core;
using Hull.Core.CommandLine;
using Hull.Images;
using Hull.Images.Distribution;
using Hull.Images.Transfer;

namespace Hull.Cli.Images;

/// <summary><c>hull pull</c>.</summary>
internal sealed class PullVerb : ImageVerb
{
    private bool _quiet;
    private bool _insecure;
    private bool _allTags;
    private bool _allPlatforms;
    private bool _noUnpack;
    private string? _platform;
    private long _parallel = PullOptions.Default.Parallelism;

    public override string Usage => "pull [options] IMAGE[:TAG|@DIGEST]";

    public override void Define(FlagSet flags)
    {
        base.Define(flags);
        flags.Switch("quiet", 'q', "print the digest only", value => _quiet = value)
            .Switch("all-tags", 'a', "every tag of the repository", value => _allTags = value)
            .Switch("all-platforms", null, "every platform of the image, as a mirror needs them", value => _allPlatforms = value)
            .Switch("no-unpack", null, "store the layers without unpacking them", value => _noUnpack = value)
            .Switch("insecure", null, "accept plain HTTP and unknown certificates", value => _insecure = value)
            .Value("platform", null, "os/arch", "platform of the image (this machine's)", value => _platform = value)
            .Number("parallel", null, "layers fetched at once", value => _parallel = value);
        DefineFormat(flags);
    }

    protected override async Task<int> RunAsync(Invocation call, CancellationToken cancellation)
    {
        call.Expect(1, 1);
        if (_parallel is < 1 or > 64) throw HullException.Invalid("--parallel must be between 1 and 64");
        var reference = ImageReference.Parse(call.Argument(0, "image"));
        if (_allTags && (reference.Tag is not null || reference.Digest is not null)) throw HullException.Invalid("--all-tags goes with a repository without tag and digest");
        var images = OpenStore();
        using var registry = new RegistrySource(Registries(reference, _insecure));
        var targets = _allTags ? await TagsAsync(registry, reference, cancellation).ConfigureAwait(false) : [reference.WithDefaultTag()];
        foreach (var target in targets) await PullAsync(call, images, registry, target, cancellation).ConfigureAwait(false);
        return 0;
    }

    private async Task PullAsync(Invocation call, IImageService images, RegistrySource registry, ImageReference reference, CancellationToken cancellation)
    {
        var options = PullOptions.Default with
        {
            Platform = ParsePlatform(_platform),
            AllPlatforms = _allPlatforms,
            Unpack = !_noUnpack,
            Parallelism = (int)_parallel,
        };
        Image image;
        using (var display = TransferDisplay.For(_quiet ? null : reference.Familiar))
            image = await images.PullAsync(reference, registry, options, display, cancellation).ConfigureAwait(false);
        var digest = image.Target.Digest;
        Tell(call, _quiet ? digest.ToString() : $"Digest: {digest}{Environment.NewLine}{reference.Canonical}",
            ("Name", reference.Canonical), ("Digest", digest.ToString()), ("ID", image.Id.ToString()));
    }

    private static async Task<List<ImageReference>> TagsAsync(RegistrySource registry, ImageReference reference, CancellationToken cancellation)
    {
        var tags = new List<ImageReference>();
        await foreach (var tag in registry.Repository(reference).TagsAsync(cancellation).ConfigureAwait(false)) tags.Add(reference.WithTag(tag));
        return tags;
    }
}

/// <summary><c>hull push</c>.</summary>
internal sealed class PushVerb : ImageVerb
{
    private bool _quiet;
    private bool _insecure;
    private string? _platform;

    public override string Usage => "push [options] IMAGE[:TAG] [TARGET]";

    public override void Define(FlagSet flags)
    {
        base.Define(flags);
        flags.Switch("quiet", 'q', "print the digest only", value => _quiet = value)
            .Switch("insecure", null, "accept plain HTTP and unknown certificates", value => _insecure = value)
            .Value("platform", null, "os/arch", "only this platform of an image that has several", value => _platform = value);
        DefineFormat(flags);
    }

    protected override async Task<int> RunAsync(Invocation call, CancellationToken cancellation)
    {
        call.Expect(1, 2);
        var name = call.Argument(0, "image");
        var target = ImageReference.Parse(call.Arguments.Count > 1 ? call.Arguments[1] : name).WithDefaultTag();
        using var registry = new RegistrySource(Registries(target, _insecure));
        var images = OpenStore();
        Oci.Image.Descriptor pushed;
        using (var display = TransferDisplay.For(_quiet ? null : target.Familiar))
            pushed = await images.PushAsync(name, target, registry, ParsePlatform(_platform), display, cancellation).ConfigureAwait(false);
        Tell(call, _quiet ? pushed.Digest.ToString() : $"{target.Tag ?? pushed.Digest.Short}: digest: {pushed.Digest} size: {pushed.Size}",
            ("Name", target.Canonical), ("Digest", pushed.Digest.ToString()), ("Size", $"{pushed.Size}"));
        return 0;
    }
}
