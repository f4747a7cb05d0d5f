using System.Text.Json.Serialization;
using Hull.Core;
using Hull.Hypervisor.Monitor;
using Hull.Hypervisor.Templates;
using Hull.Linux.Files;

namespace Hull.Engine.Drivers.Vm;

/// <summary>
/// A machine as it was at one moment: RAM in a sealed memory file of this process, from which others begin by private mapping
/// as from a template, and in a directory the state of its devices, its disk and what it was. Or a twin of it that stands still
/// for as long as this is there, which others are made of as of a live template; the memory file is then its template's.
/// </summary>
internal sealed class VmSaved : ISavedInstance
{
    private const string RecordName = "saved.json";

    private readonly MachineHold? _hold;

    private VmSaved(string directory, MemoryFile memory, VmSavedRecord record, TimeSpan pause, MachineHold? hold = null) =>
        (Directory, Memory, Record, Pause, _hold) = (directory, memory, record, pause, hold);

    public string Directory { get; }

    public MemoryFile Memory { get; }

    public VmSavedRecord Record { get; }

    public TimeSpan Pause { get; }

    public bool IsForOne { get; set; }

    /// <summary>The twin; null where there is none.</summary>
    public LiveTemplate? Live => _hold?.Live;

    public string StatePath => Path.Combine(Directory, VmControl.StateName);

    public string WritablePath => Path.Combine(Directory, VmControl.DiskName);

    public static async Task<VmSaved> SaveAsync(VmControl control, VmBundle bundle, string directory, bool keep)
    {
        System.IO.Directory.CreateDirectory(directory, UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute);
        if (!keep && await TryHoldAsync(control, bundle, directory).ConfigureAwait(false) is { } held) return held;
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

    private static async Task<VmSaved?> TryHoldAsync(VmControl control, VmBundle bundle, string directory)
    {
        try
        {
            var hold = await control.HoldAsync(directory).ConfigureAwait(false);
            return new VmSaved(directory, hold.Memory, new VmSavedRecord(hold.Container, bundle.MemoryBytes, bundle.Processors, bundle.Guest), hold.Pause, hold);
        }
        catch (HullException cause) when (cause.Kind is ErrorKind.Unsupported or ErrorKind.PermissionDenied or ErrorKind.Internal)
        {
            // Not made of a live template, or nothing can be made twice here: it is saved.
            return null;
        }
    }

    public static VmSaved Open(string directory)
    {
        var record = AtomicFile.TryReadJson(Path.Combine(directory, RecordName), VmSavedJson.Default.VmSavedRecord)
            ?? throw HullException.NotFound($"no machine was saved in {directory}");
        return new VmSaved(directory, MemoryFile.Load("hull-saved", Path.Combine(directory, "memory")), record, TimeSpan.Zero);
    }

    public void Dispose()
    {
        _hold?.Dispose();
        Memory.Dispose();
    }
}

/// <summary>What a saved machine was: another can go on from it only with the same program and parts.</summary>
/// <param name="Container">Id of the container in the guest.</param>
internal sealed record VmSavedRecord(string Container, long MemoryBytes, int Processors, GuestSource Guest);

[JsonSourceGenerationOptions(PropertyNamingPolicy = JsonKnownNamingPolicy.CamelCase)]
[JsonSerializable(typeof(VmSavedRecord))]
internal sealed partial class VmSavedJson : JsonSerializerContext;
