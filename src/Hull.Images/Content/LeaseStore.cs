using System.Globalization;
using System.Text;
using Hull.Core;
using Hull.Linux;
using Hull.Linux.Abi;
using Hull.Linux.Files;
using Hull.Linux.Syscalls;

namespace Hull.Images.Content;

/// <summary>
/// Leases: files that keep content from garbage collection. One taken with <see cref="Begin"/> lives as long as the
/// process that holds it (it keeps the file locked, so neither a crash nor a reused pid nor a reboot leaves it behind).
/// One made with <see cref="Hold"/> lives until it is released or expires, whoever made it.
/// </summary>
public sealed class LeaseStore
{
    private const string ProcessSuffix = ".process";
    private const string HeldSuffix = ".held";

    private readonly ContentStore _store;

    internal LeaseStore(ContentStore store) => _store = store;

    private string DirectoryPath => Path.Combine(_store.Root, "leases");

    /// <summary>Takes a lease for the duration of an operation of this process.</summary>
    public Lease Begin()
    {
        // Under the shared lock, so that the collector never sees the file before it is locked.
        using var shared = FileLock.Acquire(_store.GarbageLock, shared: true);
        var path = Path.Combine(DirectoryPath, RandomId.Short(RandomId.New()) + ProcessSuffix);
        return new Lease(_store, FileLock.Acquire(path), path);
    }

    /// <summary>
    /// Keeps content for as long as something outside the store needs it, such as an instance its image.
    /// <paramref name="id"/> is the caller's (letters, digits, '-', '_', '.'); holding again replaces what it kept.
    /// </summary>
    /// <param name="expires">When it lapses by itself; null: never.</param>
    public void Hold(string id, IReadOnlyCollection<Digest> content, DateTimeOffset? expires = null)
    {
        CheckId(id);
        var lines = new List<string> { "expires " + (expires?.ToString("O", CultureInfo.InvariantCulture) ?? "never") };
        lines.AddRange(content.Select(digest => digest.ToString()));
        using var shared = FileLock.Acquire(_store.GarbageLock, shared: true);
        foreach (var digest in content)
        {
            if (!_store.Contains(digest)) throw HullException.NotFound($"content {digest} is not in the store: it cannot be held");
        }

        AtomicFile.Write(Path.Combine(DirectoryPath, id + HeldSuffix), Encoding.ASCII.GetBytes(string.Join('\n', lines) + "\n"));
    }

    /// <summary>Ends a lease made with <see cref="Hold"/>. One that is not there is not an error.</summary>
    public void Release(string id)
    {
        CheckId(id);
        File.Delete(Path.Combine(DirectoryPath, id + HeldSuffix));
    }

    /// <summary>The ids of the leases that are held.</summary>
    public IReadOnlyList<string> Held() =>
        [.. Directory.EnumerateFiles(DirectoryPath, "*" + HeldSuffix).Select(path => Path.GetFileName(path)[..^HeldSuffix.Length]).Order(StringComparer.Ordinal)];

    /// <summary>
    /// What all living leases keep. Files of dead ones are removed. The caller has <see cref="ContentStore.GarbageLock"/>
    /// alone.
    /// </summary>
    internal HashSet<Digest> Roots()
    {
        var roots = new HashSet<Digest>();
        foreach (var path in Directory.EnumerateFiles(DirectoryPath))
        {
            if (!IsAlive(path)) File.Delete(path);
            else AddContent(path, roots);
        }

        return roots;
    }

    private bool IsAlive(string path)
    {
        if (path.EndsWith(ProcessSuffix, StringComparison.Ordinal))
        {
            using var taken = FileLock.TryAcquire(path);
            return taken is null;
        }

        if (!path.EndsWith(HeldSuffix, StringComparison.Ordinal)) return false;
        var first = File.ReadLines(path).FirstOrDefault();
        return first is null || !first.StartsWith("expires ", StringComparison.Ordinal)
            || !DateTimeOffset.TryParse(first["expires ".Length..], CultureInfo.InvariantCulture, out var expires)
            || expires > _store.Time.GetUtcNow();
    }

    private static void AddContent(string path, HashSet<Digest> roots)
    {
        using var reader = new StringReader(Encoding.ASCII.GetString(AtomicFile.Read(path)));
        while (reader.ReadLine() is { } line)
        {
            if (Digest.TryParse(line, out var digest)) roots.Add(digest);
        }
    }

    private static void CheckId(string id)
    {
        if (id.Length is 0 or > 200 || id[0] == '.' || !id.All(c => char.IsAsciiLetterOrDigit(c) || c is '-' or '_' or '.'))
            throw HullException.Invalid($"invalid lease id '{id}': expected letters, digits, '-', '_' and '.'");
    }
}

/// <summary>Keeps content from garbage collection while this process works with it. Pinning is cheap.</summary>
public sealed class Lease : IDisposable
{
    private readonly ContentStore _store;
    private readonly FileLock _alive;
    private readonly SafeFd _file;
    private readonly string _path;
    private readonly Lock _gate = new();
    private readonly HashSet<Digest> _pinned = [];

    internal Lease(ContentStore store, FileLock alive, string path)
    {
        (_store, _alive, _path) = (store, alive, path);
        // Not FileStream: it takes a lock of its own, which the one that shows the lease alive excludes.
        _file = Check.Descriptor(FileCalls.OpenAt(Fcntl.AT_FDCWD, path, Fcntl.O_WRONLY | Fcntl.O_APPEND), $"open lease {path}");
    }

    /// <summary>
    /// Keeps a blob, and if it is a manifest or index everything it leads to, from now on. To be called before looking
    /// whether the blob is there: what is found afterwards stays.
    /// </summary>
    public void Pin(Digest digest)
    {
        lock (_gate)
        {
            if (!_pinned.Add(digest)) return;
            using var shared = FileLock.Acquire(_store.GarbageLock, shared: true);
            _file.WriteAll(Encoding.ASCII.GetBytes(digest + "\n"));
        }
    }

    public void Dispose()
    {
        // Deleted while still locked: the collector finds it either alive or gone.
        File.Delete(_path);
        _file.Dispose();
        _alive.Dispose();
    }
}
