using System.Collections.Concurrent;
using Hull.Core;
using Hull.Images.Content;

namespace Hull.Registry.Storage;

/// <summary>
/// Uploads in progress. The bytes lie in the content store's ingest area and a marker in the repository, so that an
/// upload goes on after a restart of the server; what is in use stays open between requests.
/// </summary>
public sealed class UploadSessions(RepositoryStore store, TimeProvider clock) : IDisposable
{
    private readonly ConcurrentDictionary<string, Upload> _open = new(StringComparer.Ordinal);

    /// <summary>An upload that one request at a time writes to.</summary>
    public sealed class Upload(string id, string repository, IngestWriter writer, Lease lease) : IDisposable
    {
        private readonly SemaphoreSlim _turn = new(1, 1);

        public string Id { get; } = id;

        public string Repository { get; } = repository;

        public IngestWriter Writer { get; } = writer;

        internal long Touched { get; set; }

        /// <summary>Waits for its turn; null where another request does not finish in time.</summary>
        public async Task<IDisposable?> EnterAsync(CancellationToken cancellation) =>
            await _turn.WaitAsync(TimeSpan.FromSeconds(10), cancellation).ConfigureAwait(false) ? new Turn(_turn) : null;

        internal bool IsBusy => _turn.CurrentCount == 0;

        public void Dispose()
        {
            Writer.Dispose();
            lease.Dispose();
        }

        private sealed class Turn(SemaphoreSlim turn) : IDisposable
        {
            public void Dispose() => turn.Release();
        }
    }

    public Upload Begin(string repository)
    {
        var id = Guid.NewGuid().ToString();
        var marker = Marker(repository, id);
        Directory.CreateDirectory(Path.GetDirectoryName(marker)!);
        File.OpenHandle(marker, FileMode.CreateNew, FileAccess.Write).Dispose();
        return Open(repository, id);
    }

    /// <summary>The upload of that id in that repository; null where there is none.</summary>
    public Upload? Find(string repository, string id)
    {
        if (!Guid.TryParseExact(id, "D", out _)) return null;
        if (_open.TryGetValue(id, out var known)) return known.Repository == repository ? Touch(known) : null;
        return File.Exists(Marker(repository, id)) ? Open(repository, id) : null;
    }

    /// <summary>Forgets an upload that is finished or given up.</summary>
    public void End(Upload upload, bool abandon)
    {
        if (abandon) upload.Writer.Abandon();
        _open.TryRemove(upload.Id, out _);
        upload.Dispose();
        File.Delete(Marker(upload.Repository, upload.Id));
    }

    /// <summary>Closes uploads that rest for a moment, to free their memory, and removes those that rest for too long.</summary>
    public void Sweep(TimeSpan closeAfter, TimeSpan removeAfter)
    {
        foreach (var upload in _open.Values)
        {
            if (upload.IsBusy || clock.GetElapsedTime(upload.Touched) < closeAfter) continue;
            if (_open.TryRemove(upload.Id, out _)) upload.Dispose();
        }

        foreach (var repository in store.Repositories())
        {
            var folder = Path.Combine(store.Folder(repository), "_uploads");
            if (!Directory.Exists(folder)) continue;
            foreach (var marker in Directory.EnumerateFiles(folder))
            {
                var id = Path.GetFileName(marker);
                var part = Path.Combine(store.Content.Root, "ingest", "key-" + id + ".part");
                var last = File.Exists(part) ? File.GetLastWriteTimeUtc(part) : File.GetLastWriteTimeUtc(marker);
                if (_open.ContainsKey(id) || clock.GetUtcNow() - last < removeAfter) continue;
                if (Find(repository, id) is { } dead) End(dead, abandon: true);
            }
        }
    }

    public void Dispose()
    {
        foreach (var upload in _open.Values) upload.Dispose();
    }

    private Upload Open(string repository, string id)
    {
        var lease = store.Content.Leases.Begin();
        try
        {
            var upload = new Upload(id, repository, store.Content.BeginIngest(id, lease), lease);
            _open[id] = upload;
            return Touch(upload);
        }
        catch
        {
            lease.Dispose();
            throw;
        }
    }

    private Upload Touch(Upload upload)
    {
        upload.Touched = clock.GetTimestamp();
        return upload;
    }

    private string Marker(string repository, string id) => Path.Combine(store.Folder(repository), "_uploads", id);
}
