using System.Text.Json.Serialization;
using Hull.Core;
using Hull.Hypervisor.Monitor;
using Hull.Hypervisor.Templates;
using Hull.Linux.Files;

namespace Hull.Engine.Drivers.Vm;

/// <summary>
/// A machine as it was at one moment: RAM in a sealed memory file of this process, from which others begin by private mapping
/// as from a template, and in a directory the state of its devices, its disk and what it was.
/// </summary>
internal sealed class VmSaved : ISavedInstance
{
    private const string RecordName = "saved.json";

    private VmSaved(string directory, MemoryFile memory, VmSavedRecord record, TimeSpan pause) =>
        (Directory, Memory, Record, Pause) = (directory, memory, record, pause);

    public string Directory { get; }

    public MemoryFile Memory { get; }

    public VmSavedRecord Record { get; }

    public TimeSpan Pause { get; }

    public string StatePath => Path.Combine(Directory, "state");

    public string WritablePath => Path.Combine(Directory, "writable.img");

    public static async Task<VmSaved> SaveAsync(VmControl control, VmBundle bundle, string directory, bool keep)
    {
        System.IO.Directory.CreateDirectory(directory, UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute);
        var memory = MemoryFile.Create("hull-saved", bundle.MemoryBytes);
        try
        {
            var (container, pause) = await control.SaveAsync(directory, memory.Descriptor).ConfigureAwait(false);
            memory.Seal();
            var record = new VmSavedRecord(container, bundle.MemoryBytes, bundle.Processors, bundle.Guest);
            if (keep)
            {
                await Task.Run(() => memory.SaveTo(Path.Combine(directory, "memory"))).ConfigureAwait(false);
                AtomicFile.WriteJson(Path.Combine(directory, RecordName), record, VmSavedJson.Default.VmSavedRecord);
            }

            return new VmSaved(directory, memory, record, pause);
        }
        catch
        {
            memory.Dispose();
            System.IO.Directory.Delete(directory, recursive: true);
            throw;
        }
    }

    public static VmSaved Open(string directory)
    {
        var record = AtomicFile.TryReadJson(Path.Combine(directory, RecordName), VmSavedJson.Default.VmSavedRecord)
            ?? throw HullException.NotFound($"no machine was saved in {directory}");
        return new VmSaved(directory, MemoryFile.Load("hull-saved", Path.Combine(directory, "memory")), record, TimeSpan.Zero);
    }

    public void Dispose() => Memory.Dispose();
}

/// <summary>What a saved machine was: another can go on from it only with the same program and parts.</summary>
/// <param name="Container">Id of the container in the guest.</param>
internal sealed record VmSavedRecord(string Container, long MemoryBytes, int Processors, GuestSource Guest);

[JsonSourceGenerationOptions(PropertyNamingPolicy = JsonKnownNamingPolicy.CamelCase)]
[JsonSerializable(typeof(VmSavedRecord))]
internal sealed partial class VmSavedJson : JsonSerializerContext;
