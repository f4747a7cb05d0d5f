using System.Text.Json;
using Hull.Core;
using Hull.Linux.Files;
using Hull.Oci.Image;

namespace Hull.Images.Content;

/// <summary>A name and what it points to. Without a name it is a dangling image.</summary>
public sealed record StoredReference(string? Name, Descriptor Target);

/// <summary>
/// References in an OCI <c>index.json</c>: every entry's <c>org.opencontainers.image.ref.name</c> is the whole reference.
/// Readers need no lock, since the file is replaced in one step; writers take turns.
/// </summary>
public sealed class ImageIndexStore
{
    private readonly UnchangedFiles<ImageIndex> _read = new(1);
    private readonly string _path;
    private readonly string _lock;

    /// <param name="path">The <c>index.json</c>.</param>
    /// <param name="lockPath">A file next to it that writers lock.</param>
    public ImageIndexStore(string path, string lockPath) => (_path, _lock) = (path, lockPath);

    /// <summary>Every reference, in the order of their making.</summary>
    public IReadOnlyList<StoredReference> List() => [.. Read().Manifests.Select(ToReference)];

    /// <summary>What the name points to; null where there is no such name.</summary>
    public Descriptor? Find(string name)
    {
        foreach (var entry in Read().Manifests)
        {
            if (entry.Annotation(AnnotationKeys.RefName) == name) return entry;
        }

        return null;
    }

    /// <summary>
    /// Points <paramref name="name"/> to <paramref name="target"/>; null keeps the target without a name. The target of a
    /// name that moves stays, as a dangling image, unless another name has it.
    /// </summary>
    /// <param name="expected">If given, the change is refused with <see cref="ErrorKind.Conflict"/> unless the name points there now.</param>
    public void Set(string? name, Descriptor target, Digest? expected = null) => Change(entries =>
    {
        var old = name is null ? null : entries.Find(entry => entry.Name == name);
        if (expected is { } wanted && old?.Target.Digest != wanted)
            throw HullException.Conflict($"reference {name} has changed meanwhile");
        if (old?.Target.Digest == target.Digest) return;
        if (old is not null) entries.Remove(old);
        if (name is null && entries.Exists(entry => entry.Target.Digest == target.Digest)) return;
        entries.RemoveAll(entry => entry.Name is null && entry.Target.Digest == target.Digest);
        entries.Add(new StoredReference(name, target));
        KeepDangling(entries, old);
    });

    /// <summary>Removes a name; with <paramref name="keepDangling"/> its target stays without a name. Answers what it pointed to.</summary>
    public Descriptor? Remove(string name, bool keepDangling = false)
    {
        StoredReference? old = null;
        Change(entries =>
        {
            old = entries.Find(entry => entry.Name == name);
            if (old is null) return;
            entries.Remove(old);
            if (keepDangling) KeepDangling(entries, old);
        });
        return old?.Target;
    }

    /// <summary>Removes every entry, named or not, that points to the digest; answers their names.</summary>
    public IReadOnlyList<string> RemoveTarget(Digest digest)
    {
        List<string> names = [];
        Change(entries => entries.RemoveAll(entry =>
        {
            if (entry.Target.Digest != digest) return false;
            if (entry.Name is { } name) names.Add(name);
            return true;
        }));
        return names;
    }

    private static void KeepDangling(List<StoredReference> entries, StoredReference? old)
    {
        if (old is not null && !entries.Exists(entry => entry.Target.Digest == old.Target.Digest))
            entries.Add(old with { Name = null });
    }

    private void Change(Action<List<StoredReference>> change)
    {
        using var taken = FileLock.Acquire(_lock);
        var before = List();
        var entries = before.ToList();
        change(entries);
        if (entries.SequenceEqual(before)) return;
        var index = new ImageIndex { Manifests = [.. entries.Select(ToEntry)] };
        AtomicFile.Write(_path, ImageJson.Serialize(index));
    }

    private ImageIndex Read() => _read.Get(_path, ReadFile)!;

    private static ImageIndex ReadFile(string path)
    {
        try
        {
            var bytes = File.ReadAllBytes(path);
            return JsonSerializer.Deserialize(bytes, ImageJson.Default.ImageIndex) ?? throw new JsonException("it is null");
        }
        catch (Exception error) when (error is FileNotFoundException or DirectoryNotFoundException)
        {
            return new ImageIndex();
        }
        catch (JsonException error)
        {
            throw HullException.Corrupted($"{path} cannot be read", error);
        }
    }

    private static StoredReference ToReference(Descriptor entry)
    {
        var name = entry.Annotation(AnnotationKeys.RefName);
        var others = entry.Annotations?.Where(pair => pair.Key != AnnotationKeys.RefName).ToDictionary(StringComparer.Ordinal);
        return new StoredReference(name, entry with { Annotations = others is { Count: > 0 } ? others : null });
    }

    private static Descriptor ToEntry(StoredReference reference)
    {
        if (reference.Name is null) return reference.Target;
        var annotations = reference.Target.Annotations?.ToDictionary(StringComparer.Ordinal) ?? [];
        annotations[AnnotationKeys.RefName] = reference.Name;
        return reference.Target with { Annotations = annotations };
    }
}
