using Hull.Hypervisor.Disks;
using Hull.Linux;
using Hull.Linux.Abi;
using Hull.Linux.Syscalls;

namespace Hull.Hypervisor.Templates;

/// <summary>
/// RAM of a template: an anonymous file that the template's machine writes, and that is then sealed. From a sealed one
/// any number of machines begin by private mapping, and none of them, taken over or not, can change it for the others.
/// </summary>
public sealed class MemoryFile : IDisposable
{
    private const int SEEK_END = 2;

    private MemoryFile(SafeFd descriptor, long bytes)
    {
        Descriptor = descriptor;
        Bytes = bytes;
    }

    public SafeFd Descriptor { get; }

    public long Bytes { get; }

    /// <summary>The label of a template's memory.</summary>
    public const string TemplateLabel = "hull-template";

    private const string ReturnedLabel = "hull-returned";

    /// <summary>
    /// An empty file for a twin to have in the place of its template's. A monitor gives memory back that its guest does not use by
    /// punching a hole into the file first (QEMU's ram_block_discard_range), which a sealed one refuses; what counts is that
    /// it then drops its own pages of the private mapping.
    /// </summary>
    public static MemoryFile ForReturned(long bytes) => Create(ReturnedLabel, bytes);

    /// <summary>Numbers of the files of its memory that a process has open.</summary>
    internal static IReadOnlyList<int> NumbersIn(ILookup<string, int> open) =>
        [.. ((string[])[TemplateLabel, ReturnedLabel]).SelectMany(label => open[$"/memfd:{label} (deleted)"])];

    /// <summary>Whether the kernel refuses every change of the file from now on.</summary>
    public bool Sealed => (Check.Result(FileCalls.Fcntl(Descriptor.Value, Fcntl.F_GET_SEALS), $"read the seals of {Descriptor}") & Fcntl.F_SEAL_WRITE) != 0;

    public static MemoryFile Create(string label, long bytes)
    {
        var descriptor = Check.Descriptor(FileCalls.MemfdCreate(label), $"create a memory file");
        try
        {
            Check.Result(FileCalls.Truncate(descriptor.Value, bytes), $"size a memory file to {bytes} bytes");
            return new MemoryFile(descriptor, bytes);
        }
        catch
        {
            descriptor.Dispose();
            throw;
        }
    }

    /// <summary>Opens the memory file of another process by its path under /proc. It must be sealed.</summary>
    public static MemoryFile Open(string path)
    {
        var file = new MemoryFile(Check.Descriptor(FileCalls.OpenAt(Fcntl.AT_FDCWD, path, Fcntl.O_RDONLY), $"open the template's memory at {path}"), 0);
        if (file.Sealed) return file;
        file.Dispose();
        throw HullException.Corrupted($"the template's memory at {path} is not sealed");
    }

    /// <summary>Writes the contents to a file, holes as holes.</summary>
    public void SaveTo(string path)
    {
        using var target = SparseFile.Create(path);
        SparseFile.Copy(Descriptor, target, Bytes);
        Check.Result(FileCalls.Fsync(target.Value), $"flush {path}");
    }

    /// <summary>A new memory file with the contents of a file, sealed.</summary>
    public static MemoryFile Load(string label, string path)
    {
        var memory = Create(label, new FileInfo(path).Length);
        try
        {
            using var source = Check.Descriptor(FileCalls.OpenAt(Fcntl.AT_FDCWD, path, Fcntl.O_RDONLY), $"open {path}");
            SparseFile.Copy(source, memory.Descriptor, memory.Bytes);
            memory.Seal();
            return memory;
        }
        catch
        {
            memory.Dispose();
            throw;
        }
    }

    /// <summary>A new memory file with the same contents, which can be written.</summary>
    public MemoryFile Copy()
    {
        var bytes = Check.Result(FileCalls.Seek(Descriptor.Value, 0, SEEK_END), $"size a template's memory");
        var copy = Create("hull-memory", bytes);
        try
        {
            SparseFile.Copy(Descriptor, copy.Descriptor, bytes);
            return copy;
        }
        catch
        {
            copy.Dispose();
            throw;
        }
    }

    /// <summary>
    /// Seals contents, size and seals. Fails with <see cref="ErrorKind.Conflict"/> while anybody has it mapped shared
    /// and writable, as the template's own machine has until its monitor is gone.
    /// </summary>
    public void Seal() => Check.Result(FileCalls.Fcntl(Descriptor.Value, Fcntl.F_ADD_SEALS,
        Fcntl.F_SEAL_WRITE | Fcntl.F_SEAL_GROW | Fcntl.F_SEAL_SHRINK | Fcntl.F_SEAL_SEAL), $"seal a template's memory");

    public void Dispose() => Descriptor.Dispose();
}
