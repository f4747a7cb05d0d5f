using System.Text;
using System.Text.Json;
using Hull.Core;
using Hull.Images.Content;
using Hull.Linux.Files;
using Hull.Oci.Image;

namespace Hull.Registry.Storage;

/// <summary>
/// What each repository holds, as small files over one content store that all share: a blob is stored once, and is
/// seen only in the repositories it was pushed or mounted to.
/// <para><c>repositories/NAME/_blobs/ALG/HEX</c> (empty), <c>_manifests/ALG/HEX</c> (its media type),
/// <c>_tags/TAG</c> (a digest), <c>_referrers/ALG-HEX/ALG-HEX</c> (the referrer's descriptor). A path of a repository
/// never begins a component with '_', so names cannot meet.</para>
/// </summary>
public sealed class RepositoryStore
{
    private readonly string _repositories;

    public RepositoryStore(string root)
    {
        Content = ContentStore.Open(root);
        Content.Unflushed.Recover(snapshotter: null);
        _repositories = Path.Combine(Content.Root, "repositories");
        Directory.CreateDirectory(_repositories);
    }

    public ContentStore Content { get; }

    /// <summary>Held shared while links are made on the strength of content that is there, alone by the collector.</summary>
    public AsyncSharedLock Gate { get; } = new();

    /// <summary>Whether anything was ever pushed to it; an upload that only began is nothing yet.</summary>
    public bool Exists(string repository) =>
        Directory.Exists(Path.Combine(Folder(repository), "_manifests")) || Directory.Exists(Path.Combine(Folder(repository), "_blobs"));

    public bool HasBlob(string repository, Digest digest) => File.Exists(BlobLink(repository, digest)) && Content.Contains(digest);

    public void LinkBlob(string repository, Digest digest) => Create(BlobLink(repository, digest), "");

    /// <summary>Renews the time by which the collector knows that somebody counts on the blob.</summary>
    public void TouchBlob(string repository, Digest digest, TimeProvider clock)
    {
        try
        {
            File.SetLastWriteTimeUtc(BlobLink(repository, digest), clock.GetUtcNow().UtcDateTime);
        }
        catch (IOException)
        {
            // It was unlinked this moment: the next step finds out.
        }
    }

    public bool UnlinkBlob(string repository, Digest digest) => Delete(BlobLink(repository, digest));

    /// <summary>The media type of a manifest of this repository; null where it has none of that digest.</summary>
    public string? ManifestType(string repository, Digest digest) => Read(ManifestLink(repository, digest));

    public Digest? Tag(string repository, string tag) => Digest.TryParse(Read(TagFile(repository, tag)), out var digest) ? digest : null;

    /// <summary>When a tag was last set; mirrors ask again after a while.</summary>
    public DateTimeOffset TagTime(string repository, string tag) => File.GetLastWriteTimeUtc(TagFile(repository, tag));

    /// <summary>Stores a manifest's links: itself, its tag, and its place among the referrers of its subject.</summary>
    public void LinkManifest(string repository, ImageDocument document, Digest digest, string? tag)
    {
        Create(ManifestLink(repository, digest), document.MediaType);
        if (document.Subject is { } subject)
        {
            var entry = document.Descriptor with { Digest = digest, ArtifactType = document.ArtifactType, Annotations = document.Annotations };
            var path = Path.Combine(ReferrersFolder(repository, subject.Digest), FileName(digest));
            Create(path, Encoding.UTF8.GetString(JsonSerializer.SerializeToUtf8Bytes(entry, ImageJson.Default.Descriptor)));
        }

        if (tag is not null) SetTag(repository, tag, digest);
    }

    public void SetTag(string repository, string tag, Digest digest) => Create(TagFile(repository, tag), digest.ToString());

    public bool DeleteTag(string repository, string tag) => Delete(TagFile(repository, tag));

    /// <summary>Removes a manifest, the tags that point to it, and its place among referrers.</summary>
    public bool DeleteManifest(string repository, Digest digest)
    {
        if (ManifestType(repository, digest) is not { } type) return false;
        foreach (var tag in Tags(repository))
        {
            if (Tag(repository, tag) == digest) DeleteTag(repository, tag);
        }

        if (TryReadManifest(digest, type)?.Subject is { } subject) Delete(Path.Combine(ReferrersFolder(repository, subject.Digest), FileName(digest)));
        return Delete(ManifestLink(repository, digest));
    }

    /// <summary>The tags in the order of their bytes.</summary>
    public IReadOnlyList<string> Tags(string repository)
    {
        var folder = Path.Combine(Folder(repository), "_tags");
        if (!Directory.Exists(folder)) return [];
        return [.. Directory.EnumerateFiles(folder).Select(Path.GetFileName).OfType<string>().Where(ImageReference.IsTag).Order(StringComparer.Ordinal)];
    }

    public IReadOnlyList<Descriptor> Referrers(string repository, Digest subject)
    {
        var folder = ReferrersFolder(repository, subject);
        if (!Directory.Exists(folder)) return [];
        var list = new List<Descriptor>();
        foreach (var path in Directory.EnumerateFiles(folder).Order(StringComparer.Ordinal))
        {
            if (Read(path) is { } text && JsonSerializer.Deserialize(text, ImageJson.Default.Descriptor) is { } entry) list.Add(entry);
        }

        return list;
    }

    /// <summary>Digests of the manifests of a repository with their media types.</summary>
    public IEnumerable<(Digest Digest, string MediaType)> Manifests(string repository)
    {
        foreach (var (digest, path) in Links(repository, "_manifests"))
        {
            if (Read(path) is { Length: > 0 } type) yield return (digest, type);
        }
    }

    /// <summary>The blobs of a repository with the time each was last counted on.</summary>
    public IEnumerable<(Digest Digest, DateTimeOffset Touched)> Blobs(string repository) =>
        Links(repository, "_blobs").Select(link => (link.Digest, (DateTimeOffset)File.GetLastWriteTimeUtc(link.Path)));

    /// <summary>All repositories, in the order of their names.</summary>
    public IReadOnlyList<string> Repositories()
    {
        var names = new List<string>();
        Walk(_repositories, "");
        names.Sort(StringComparer.Ordinal);
        return names;

        void Walk(string folder, string name)
        {
            if (name.Length > 0 && (Directory.Exists(Path.Combine(folder, "_manifests")) || Directory.Exists(Path.Combine(folder, "_blobs")))) names.Add(name);
            foreach (var child in Directory.EnumerateDirectories(folder))
            {
                var part = Path.GetFileName(child);
                if (!part.StartsWith('_')) Walk(child, name.Length == 0 ? part : name + "/" + part);
            }
        }
    }

    /// <summary>Reads a stored manifest; null for one whose content is gone or damaged.</summary>
    public ImageDocument? TryReadManifest(Digest digest, string mediaType)
    {
        try
        {
            return Content.SizeOf(digest) is { } size ? Content.ReadDocument(new Descriptor { MediaType = mediaType, Digest = digest, Size = size }) : null;
        }
        catch (HullException)
        {
            return null;
        }
    }

    /// <summary>The folder of a repository; the name was checked, so it stays inside.</summary>
    internal string Folder(string repository) => ImageReference.IsPath(repository)
        ? Path.Combine(_repositories, repository)
        : throw RegistryError.NameInvalid(repository);

    private string BlobLink(string repository, Digest digest) => Path.Combine(Folder(repository), "_blobs", digest.Algorithm, digest.Hex);

    private string ManifestLink(string repository, Digest digest) => Path.Combine(Folder(repository), "_manifests", digest.Algorithm, digest.Hex);

    private string TagFile(string repository, string tag) => ImageReference.IsTag(tag)
        ? Path.Combine(Folder(repository), "_tags", tag)
        : throw RegistryError.ManifestUnknown(tag);

    private string ReferrersFolder(string repository, Digest subject) => Path.Combine(Folder(repository), "_referrers", FileName(subject));

    private static string FileName(Digest digest) => digest.Algorithm + "-" + digest.Hex;

    private IEnumerable<(Digest Digest, string Path)> Links(string repository, string kind)
    {
        var folder = Path.Combine(Folder(repository), kind);
        if (!Directory.Exists(folder)) yield break;
        foreach (var algorithm in Directory.EnumerateDirectories(folder))
        {
            foreach (var path in Directory.EnumerateFiles(algorithm))
            {
                if (Digest.TryParse(Path.GetFileName(algorithm) + ":" + Path.GetFileName(path), out var digest)) yield return (digest, path);
            }
        }
    }

    private static void Create(string path, string content)
    {
        Directory.CreateDirectory(Path.GetDirectoryName(path)!);
        AtomicFile.Write(path, Encoding.UTF8.GetBytes(content));
    }

    private static bool Delete(string path)
    {
        if (!File.Exists(path)) return false;
        AtomicFile.Delete(path);
        return true;
    }

    private static string? Read(string path)
    {
        try
        {
            return File.ReadAllText(path);
        }
        catch (Exception error) when (error is FileNotFoundException or DirectoryNotFoundException)
        {
            return null;
        }
    }
}
