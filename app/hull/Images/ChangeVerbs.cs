using Hull.Client.Formatting;
using Hull.Cli.Verbs;
using Hull.Core;
using Hull.Core.CommandLine;
using Hull.Images;
using Hull.Images.Bootstrap;

namespace Hull.Cli.Images;

/// <summary><c>hull tag</c>.</summary>
internal sealed class TagVerb : ImageVerb
{
    public override string Usage => "tag IMAGE NAME[:TAG]";

    protected override Task<int> RunAsync(Invocation call, CancellationToken cancellation)
    {
        call.Expect(2, 2);
        var reference = ImageReference.Parse(call.Argument(1, "name"));
        if (reference.Digest is not null) throw HullException.Invalid($"'{call.Arguments[1]}' has a digest: a name to give has a tag at most");
        var images = OpenStore();
        images.Tag(images.Resolve(call.Argument(0, "image")), reference.WithDefaultTag());
        return Task.FromResult(0);
    }
}

/// <summary><c>hull rmi</c>.</summary>
internal sealed class RemoveVerb : ImageVerb
{
    private bool _force;

    public override string Usage => "rmi [options] IMAGE...";

    public override void Define(FlagSet flags)
    {
        base.Define(flags);
        flags.Switch("force", 'f', "also where several names point to the image", value => _force = value)
            .Switch("no-prune", null, "for Docker's sake: nothing else is removed", _ => { });
        DefineFormat(flags);
    }

    protected override Task<int> RunAsync(Invocation call, CancellationToken cancellation)
    {
        call.Expect(1);
        var images = OpenStore();
        var code = ForEach(call, name =>
        {
            foreach (var removed in images.Remove(name, _force)) TellRemoved(call, removed);
        });
        // The bytes go now, where nothing else uses them.
        images.CollectGarbage(cancellation);
        return Task.FromResult(code);
    }
}

/// <summary><c>hull image prune</c>.</summary>
internal sealed class PruneVerb : ImageVerb
{
    private readonly List<string> _filters = [];
    private bool _all;

    public override string Usage => "image prune [options]";

    public override void Define(FlagSet flags)
    {
        base.Define(flags);
        flags.Switch("all", 'a', "every image that nothing uses, not only those without a name", value => _all = value)
            .Switch("force", 'f', "for Docker's sake: nothing is asked", _ => { })
            .Value("filter", null, "key=value", "label=KEY[=VALUE], before=IMAGE, since=IMAGE", _filters.Add);
        DefineFormat(flags);
    }

    protected override Task<int> RunAsync(Invocation call, CancellationToken cancellation)
    {
        call.Expect(0, 0);
        var images = OpenStore();
        var filter = ImageFilter.Parse(_filters, images);
        var result = images.Prune(_all, _filters.Count == 0 ? null : filter.Accepts, cancellation);
        foreach (var removed in result.Removed) TellRemoved(call, removed);
        Tell(call, $"Total reclaimed space: {HumanText.Size(result.SpaceReclaimed)}", ("SpaceReclaimed", $"{result.SpaceReclaimed}"));
        return Task.FromResult(0);
    }
}

/// <summary><c>hull image bootstrap</c>.</summary>
internal sealed class BootstrapVerb : ImageVerb
{
    private bool _quiet;
    private bool _noUnpack;

    public override string Usage => "image bootstrap [options] NAME...";

    public override void Define(FlagSet flags)
    {
        base.Define(flags);
        flags.Switch("quiet", 'q', "print the digest only", value => _quiet = value)
            .Switch("no-unpack", null, "store the layers without unpacking them", value => _noUnpack = value);
        DefineFormat(flags);
    }

    protected override async Task<int> RunAsync(Invocation call, CancellationToken cancellation)
    {
        if (call.Arguments.Count == 0)
            throw HullException.Invalid($"a name is missing: there are {string.Join(", ", BootstrapRecipe.Names)}");
        var images = OpenStore();
        var bootstrap = new ImageBootstrap(images.Content, Path.Combine(StateDirectory, "bootstrap"), _quiet ? null : Terminal.Error.WriteLine);
        foreach (var name in call.Arguments)
        {
            var descriptor = await bootstrap.BuildAsync(name, cancellation).ConfigureAwait(false);
            var reference = ImageReference.Parse(name).WithDefaultTag();
            if (!_noUnpack) await images.EnsureUnpackedAsync(images.Resolve(reference.Canonical), cancellation: cancellation).ConfigureAwait(false);
            Tell(call, _quiet ? descriptor.Digest.ToString() : $"{reference.Familiar} {descriptor.Digest}", ("Name", reference.Familiar), ("Digest", descriptor.Digest.ToString()));
        }

        return 0;
    }
}
