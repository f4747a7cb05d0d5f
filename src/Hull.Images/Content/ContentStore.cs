using Hull.Core;
using Hull.Linux.Files;
using Hull.Oci.Image;

namespace Hull.Images.Content;

/// <summary>
/// Blobs by digest in an OCI image layout (image-spec image-layout.md). A blob appears under its name in one step,
/// after its digest and size were checked, and never changes; so whoever can open one may trust it.
/// <para>Several processes use one store at once. Whoever adds or uses content holds a <see cref="Lease"/> meanwhile:
/// garbage collection keeps what a reference, a lease or a snapshot leads to.</para>
/// <para>Below the root: <c>blobs/sha256/HEX</c>, <c>index.json</c> (references), <c>ingest/</c> (unfinished
/// downloads, kept to be resumed), <c>leases/</c>, <c>unflushed/</c>, <c>locks/</c>, <c>trash/</c>.</para>
/// </summary>
public sealed class ContentStore
{
    /// <summary>Longest content that is read into memory as a whole, such as a configuration.</summary>
    public const int MaxDocumentSize = 8 << 20;

    /// <summary>Larger configurations are read each time.</summary>
    private const int LargestKeptConfig = 64 << 10;

    private readonly DocumentCache _documents = new();
    private readonly UnchangedFiles<ImageConfig> _configs = new(64);

    private ContentStore(string root, TimeProvider time, string boot)
    {
        Root = root;
        Time = time;
        Leases = new LeaseStore(this);
        References = new ImageIndexStore(Path.Combine(root, "index.json"), Path.Combine(root, "locks", "index"));
        Unflushed = new UnflushedStore(this, boot);
    }

    public string Root { get; }

    public LeaseStore Leases { get; }

    /// <summary>The names of the images in this store.</summary>
    public ImageIndexStore References { get; }

    /// <summary>Names given before the disk has the bytes.</summary>
    public UnflushedStore Unflushed { get; }

    internal TimeProvider Time { get; }

    internal string IngestDirectory => Path.Combine(Root, "ingest");

    internal string TrashDirectory => Path.Combine(Root, "trash");

    /// <summary>Shared by whoever pins content, taken alone by garbage collection when it removes.</summary>
    internal string GarbageLock => Path.Combine(Root, "locks", "gc");

    /// <summary>Opens the store at <paramref name="root"/> and makes it where it is not there yet.</summary>
    /// <param name="boot">Identity of this boot of the machine; null: the kernel's. It changes when the machine restarts, and
    /// with it what <see cref="UnflushedStore.Recover"/> doubts.</param>
    public static ContentStore Open(string root, TimeProvider? time = null, string? boot = null)
    {
        root = Path.GetFullPath(root);
        // Images may hold secrets and setuid programs: nobody else on the machine gets at them.
        const UnixFileMode mode = UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute;
        Directory.CreateDirectory(root, mode);
        foreach (var name in (string[])["blobs/sha256", "ingest", "leases", "locks", "trash"])
            Directory.CreateDirectory(Path.Combine(root, name), mode);
        var store = new ContentStore(root, time ?? TimeProvider.System, boot ?? File.ReadAllText("/proc/sys/kernel/random/boot_id").Trim());
        LayoutFile.Ensure(root);
        return store;
    }

    public bool Contains(Digest digest) => File.Exists(PathOf(digest));

    /// <summary>Bytes of the blob; null where it is not here.</summary>
    public long? SizeOf(Digest digest) => new FileInfo(PathOf(digest)) is { Exists: true } file ? file.Length : null;

    /// <summary>Where the blob lies. The file is never to be written.</summary>
    public string PathOf(Digest digest) => Path.Combine(Root, "blobs", digest.Algorithm, digest.Hex);

    /// <summary>Opens a blob for reading; throws <see cref="ErrorKind.NotFound"/>.</summary>
    public FileStream OpenRead(Digest digest, long offset = 0)
    {
        try
        {
            var stream = new FileStream(PathOf(digest), FileMode.Open, FileAccess.Read, FileShare.ReadWrite | FileShare.Delete, 1,
                FileOptions.SequentialScan);
            stream.Position = offset;
            return stream;
        }
        catch (Exception error) when (error is FileNotFoundException or DirectoryNotFoundException)
        {
            throw HullException.NotFound($"content {digest} is not in the store: pull the image again", error);
        }
    }

    /// <summary>Reads a small blob and checks it once more; throws <see cref="ErrorKind.DataCorrupted"/> where the disk lied.</summary>
    public byte[] ReadAll(Descriptor descriptor)
    {
        if (descriptor.Size > MaxDocumentSize)
            throw HullException.Corrupted($"content {descriptor.Digest.Short} has {descriptor.Size} bytes, too many for a document");
        using var file = OpenRead(descriptor.Digest);
        if (file.Length != descriptor.Size)
            throw HullException.Corrupted($"content {descriptor.Digest} has {file.Length} bytes, its descriptor says {descriptor.Size}");
        var bytes = new byte[file.Length];
        file.ReadExactly(bytes);
        ContentHash.Check(bytes, descriptor.Digest);
        return bytes;
    }

    /// <summary>Reads and parses a manifest or index.</summary>
    public ImageDocument ReadDocument(Descriptor descriptor) =>
        _documents.Get(descriptor, () => ImageDocument.Parse(ReadAll(descriptor), descriptor.MediaType));

    /// <summary>Reads and parses an image configuration.</summary>
    public ImageConfig ReadConfig(Descriptor descriptor) => descriptor.Size > LargestKeptConfig
        ? ImageDocument.ParseConfig(ReadAll(descriptor))
        : _configs.Get(PathOf(descriptor.Digest), _ => ImageDocument.ParseConfig(ReadAll(descriptor)))!;

    /// <summary>Stores a document; <paramref name="lease"/> keeps it until something refers to it.</summary>
    public Descriptor Put(byte[] bytes, string mediaType, Lease lease)
    {
        var descriptor = new Descriptor { MediaType = mediaType, Digest = Digest.Sha256(bytes), Size = bytes.Length };
        lease.Pin(descriptor.Digest);
        if (Contains(descriptor.Digest)) return descriptor;
        using var ingest = BeginIngest("put-" + RandomId.New(), lease);
        ingest.Write(bytes);
        ingest.Commit(descriptor.Digest, descriptor.Size);
        return descriptor;
    }

    /// <summary>
    /// Starts or resumes storing content whose digest is known. Null: it is here already, perhaps because another
    /// process finished it while this call waited for it. The writer's <see cref="IngestWriter.Offset"/> says from where on
    /// bytes are needed. <paramref name="lease"/> keeps the content from now on.
    /// </summary>
    public async Task<IngestWriter?> BeginIngestAsync(Descriptor expected, Lease lease, CancellationToken cancellation = default)
    {
        lease.Pin(expected.Digest);
        if (CheckPresent(expected)) return null;
        var name = $"{expected.Digest.Algorithm}-{expected.Digest.Hex}";
        var taken = await StoreLock.TakeAsync(IngestPath(name + ".lock"), () => Contains(expected.Digest), cancellation).ConfigureAwait(false);
        if (taken is null || CheckPresent(expected))
        {
            taken?.Dispose();
            return null;
        }

        return IngestWriter.Open(this, IngestPath(name + ".part"), taken, expected, lease);
    }

    /// <summary>
    /// Starts or resumes storing content whose digest is not known yet, such as an upload. <paramref name="key"/> is the
    /// caller's (letters, digits, '-'); who has it open has it alone, otherwise <see cref="ErrorKind.Conflict"/>.
    /// </summary>
    public IngestWriter BeginIngest(string key, Lease lease)
    {
        if (key.Length is 0 or > 100 || !key.All(c => char.IsAsciiLetterOrDigit(c) || c is '-' or '_'))
            throw HullException.Invalid($"invalid ingest key '{key}'");
        var taken = FileLock.TryAcquire(IngestPath("key-" + key + ".lock"))
            ?? throw HullException.Conflict($"upload {key} is being written by somebody else");
        return IngestWriter.Open(this, IngestPath("key-" + key + ".part"), taken, null, lease);
    }

    /// <summary>Bytes received so far of an upload that nobody need have open; null where there is none.</summary>
    public long? IngestOffset(string key) => new FileInfo(IngestPath("key-" + key + ".part")) is { Exists: true } file ? file.Length : null;

    /// <summary>Every blob, in no order.</summary>
    public IEnumerable<Digest> Blobs()
    {
        foreach (var algorithm in (string[])["sha256", "sha512"])
        {
            var directory = Path.Combine(Root, "blobs", algorithm);
            if (!Directory.Exists(directory)) continue;
            foreach (var path in Directory.EnumerateFiles(directory))
            {
                if (Digest.TryParse(algorithm + ":" + Path.GetFileName(path), out var digest)) yield return digest;
            }
        }
    }

    /// <summary>Moves a blob out of sight in one step, for garbage collection and the registry's DELETE. The space is freed by the collector.</summary>
    internal bool MoveToTrash(Digest digest)
    {
        try
        {
            File.Move(PathOf(digest), Path.Combine(TrashDirectory, RandomId.Short(RandomId.New()) + "-" + digest.Hex));
            return true;
        }
        catch (FileNotFoundException)
        {
            return false;
        }
    }

    private string IngestPath(string name) => Path.Combine(IngestDirectory, name);

    private bool CheckPresent(Descriptor expected)
    {
        if (SizeOf(expected.Digest) is not { } size) return false;
        return size == expected.Size
            ? true
            : throw HullException.Corrupted($"content {expected.Digest} has {size} bytes, its descriptor says {expected.Size}");
    }
}
