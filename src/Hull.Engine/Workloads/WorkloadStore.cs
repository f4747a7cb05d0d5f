using System.Text.Json;
using Hull.Core;
using Hull.Engine.Drivers;
using Hull.Linux;
using Hull.Linux.Abi;
using Hull.Linux.Files;
using Hull.Linux.Syscalls;

namespace Hull.Engine.Workloads;

/// <summary>
/// One directory per workload with small JSON documents: <c>config.json</c> (what it is), <c>state.json</c> (how it is)
/// and <c>instance.json</c> (how it was last realized). Each replaces its predecessor by rename, so that a reader sees one
/// or the other, and the death of the engine at any moment leaves whole files.
/// </summary>
/// <remarks>
/// The flush to disk is not waited for: what a power failure may take is the last moment's change, never a file. A
/// directory whose config is missing is an interrupted creation and is cleared at the next start.
/// </remarks>
internal sealed class WorkloadStore(string directory)
{
    public string Root => directory;

    public string DirectoryOf(string id) => Path.Combine(directory, id);

    public void CreateDirectory(string id)
    {
        Directory.CreateDirectory(directory, UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute);
        Directory.CreateDirectory(DirectoryOf(id), UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute
            | UnixFileMode.GroupExecute);
    }

    public void Write(WorkloadRecord record) =>
        AtomicFile.WriteJson(Path.Combine(DirectoryOf(record.Id), "config.json"), record, EngineJson.Default.WorkloadRecord, durable: false);

    /// <summary>On a full disk the old file's own space is used, so that no exit code is lost for want of a block.</summary>
    public void Write(string id, WorkloadState state)
    {
        var path = Path.Combine(DirectoryOf(id), "state.json");
        var content = JsonSerializer.SerializeToUtf8Bytes(state, EngineJson.Default.WorkloadState);
        try
        {
            AtomicFile.Write(path, content, durable: false);
        }
        catch (HullException error) when (error.Kind == ErrorKind.ResourceExhausted && File.Exists(path))
        {
            AtomicFile.Overwrite(path, content);
        }
    }

    public void Write(InstanceSpec spec) =>
        AtomicFile.WriteJson(Path.Combine(DirectoryOf(spec.Id), "instance.json"), spec, EngineJson.Default.InstanceSpec, durable: false);

    public InstanceSpec? ReadInstance(string id) =>
        AtomicFile.TryReadJson(Path.Combine(DirectoryOf(id), "instance.json"), EngineJson.Default.InstanceSpec);

    public void DeleteInstance(string id) => AtomicFile.Delete(Path.Combine(DirectoryOf(id), "instance.json"));

    /// <summary>What is left of the directory counts as an interrupted creation, which the next start clears.</summary>
    public void DeleteConfig(string id) => AtomicFile.Delete(Path.Combine(DirectoryOf(id), "config.json"));

    /// <summary>Removes everything of a workload. A directory half removed has lost its config first and counts as gone.</summary>
    public void Delete(string id)
    {
        DeleteConfig(id);
        using var parent = Check.Descriptor(
            FileCalls.OpenAt(Fcntl.AT_FDCWD, directory, Fcntl.O_PATH | Fcntl.O_DIRECTORY), $"open {directory}");
        TreeRemover.Remove(parent, id, DirectoryOf(id));
    }

    /// <summary>
    /// Everything stored. What cannot be read is answered by id with the reason, and left alone for somebody to look at.
    /// </summary>
    public (List<(WorkloadRecord Record, WorkloadState State)> Good, List<(string Id, string Reason)> Bad, List<string> Interrupted) Load()
    {
        var good = new List<(WorkloadRecord, WorkloadState)>();
        var bad = new List<(string, string)>();
        var interrupted = new List<string>();
        if (!Directory.Exists(directory)) return (good, bad, interrupted);
        foreach (var path in Directory.EnumerateDirectories(directory))
        {
            var id = Path.GetFileName(path);
            try
            {
                var record = AtomicFile.TryReadJson(Path.Combine(path, "config.json"), EngineJson.Default.WorkloadRecord);
                if (record is null)
                {
                    interrupted.Add(id);
                    continue;
                }

                var state = AtomicFile.TryReadJson(Path.Combine(path, "state.json"), EngineJson.Default.WorkloadState);
                good.Add((record, state ?? new WorkloadState()));
            }
            catch (HullException error)
            {
                bad.Add((id, error.FullMessage));
            }
        }

        return (good, bad, interrupted);
    }
}
