using Hull.Core;
using Hull.Hypervisor;
using Hull.Hypervisor.Disks;

namespace Hull.Engine.Machines;

/// <summary>
/// Which image stands on which. The engine keeps it: a guest that took its monitor over could write any name into its disks,
/// and would be given that file the next time somebody opens them.
/// </summary>
public sealed partial class MachineManager
{
    /// <summary>A machine's image with all it stands on.</summary>
    private ImageDisk ImageOf(string path, string format, bool readOnly)
    {
        var image = new ImageDisk(path, format, readOnly);
        return BackingOf(path) is { } below ? image with { Backing = ImageOf(below, "qcow2", readOnly: true) } : image with { IsWhole = true };
    }

    /// <summary>The files that an image stands on, from the nearest to the last.</summary>
    private IReadOnlyList<string> Below(string path)
    {
        List<string> files = [];
        for (var below = BackingOf(path); below is not null && !files.Contains(below); below = BackingOf(below)) files.Add(below);
        return files;
    }

    private string? BackingOf(string path) =>
        _store.TryGet(Path.GetFileName(Path.GetDirectoryName(path)) ?? "") is { Backings: { } backings } record && _store.DirectoryOf(record.Id) == Path.GetDirectoryName(path)
            ? backings.GetValueOrDefault(Path.GetFileName(path)) : null;

    /// <summary>Writes down what files stand on from now on; null for what stands on nothing, or is gone.</summary>
    private static MachineRecord WithBackings(MachineRecord record, IEnumerable<(string File, string? Backing)> changes)
    {
        var all = record.Backings?.ToDictionary() ?? [];
        foreach (var (file, backing) in changes)
        {
            if (backing is null) all.Remove(file);
            else all[file] = backing;
        }

        return record with { Backings = all };
    }

    /// <summary>Of machines from before this was kept, whose monitors could write what they liked anyway: what the files say.</summary>
    private void LearnBackings()
    {
        foreach (var record in _store.All.Where(record => record.Backings is null))
        {
            var directory = _store.DirectoryOf(record.Id);
            _store.Save(WithBackings(record, Directory.EnumerateFiles(directory, "*.qcow2")
                .Select(file => (Path.GetFileName(file), Qcow2Header.BackingFileOf(file) is { } name ? Path.GetFullPath(name, directory) : null))));
        }
    }
}
