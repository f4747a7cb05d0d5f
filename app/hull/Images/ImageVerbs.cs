using Hull.Cli.Verbs;

namespace Hull.Cli.Images;

/// <summary>The verbs about images. They work on the store of this machine and need no engine.</summary>
internal static class ImageVerbs
{
    /// <summary>What stands at the first level: the group, and the words Docker has there too.</summary>
    public static VerbEntry[] All() =>
    [
        VerbEntry.ForGroup("image", "Manage images", Group),
        Pull, Push, List("images"), Remove("rmi"), Tag, Save, Load, Import, History,
        new("login", "Log in to a registry", () => new LoginVerb()),
        new("logout", "Forget the login of a registry", () => new LogoutVerb()),
    ];

    private static VerbEntry Pull => new("pull", "Fetch an image from a registry", () => new PullVerb());

    private static VerbEntry Push => new("push", "Send an image to a registry", () => new PushVerb());

    private static VerbEntry Tag => new("tag", "Give an image another name", () => new TagVerb());

    private static VerbEntry Save => new("save", "Write images to an archive", () => new SaveVerb());

    private static VerbEntry Load => new("load", "Read images from an archive", () => new LoadVerb());

    private static VerbEntry Import => new("import", "Make an image of a root file system", () => new ImportVerb());

    private static VerbEntry History => new("history", "Show how an image came about", () => new HistoryVerb());

    private static VerbEntry[] Group() =>
    [
        new("bootstrap", "Make an image from the distribution's packages", () => new BootstrapVerb()),
        new("diff", "Show what an image's layers change", () => new DiffVerb()),
        new("export", "Write an image's root file system as a tar", () => new ExportVerb()),
        History,
        Import,
        new("inspect", "Show everything about images", () => new InspectVerb()),
        Load,
        List("ls", "list"),
        new("prune", "Remove images that nothing uses", () => new PruneVerb()),
        Pull,
        Push,
        Remove("rm", "remove"),
        Save,
        Tag,
        new("verify", "Check every stored byte against its digest", () => new VerifyVerb()),
    ];

    private static VerbEntry List(string name, params string[] aliases) => new(name, "List images", () => new ListVerb(), aliases);

    private static VerbEntry Remove(string name, params string[] aliases) => new(name, "Remove images", () => new RemoveVerb(), aliases);
}
