using System.Globalization;
using System.Text;

namespace Hull.Hypervisor.Guest;

/// <summary>
/// Writes an initramfs: a cpio archive in the <c>newc</c> format (Linux, Documentation/driver-api/early-userspace/
/// buffer-format.rst). Owners are 0:0 and times are 0, so the same entries in the same order give the same bytes.
/// </summary>
public sealed class CpioWriter(Stream output) : IDisposable
{
    private const uint TypeMask = 0xF000;
    private const uint DirectoryType = 0x4000;
    private const uint RegularType = 0x8000;
    private const uint SymbolicLinkType = 0xA000;
    private const uint CharacterDeviceType = 0x2000;
    private const int HeaderLength = 110;

    private readonly HashSet<string> _directories = [];
    private uint _inode;
    private long _position;
    private bool _finished;

    /// <summary>Adds a directory and those above it that are not there yet; adding one twice does nothing.</summary>
    public void AddDirectory(string path)
    {
        var name = Normalize(path);
        if (name.Length == 0 || !_directories.Add(name)) return;
        AddParents(name);
        WriteEntry(name, DirectoryType | 0x1ED, [], 0, 0);
    }

    /// <param name="mode">Permission bits.</param>
    public void AddFile(string path, ReadOnlySpan<byte> content, uint mode = 0x1ED)
    {
        var name = Normalize(path);
        AddParents(name);
        WriteEntry(name, RegularType | mode, content, 0, 0);
    }

    public void AddSymbolicLink(string path, string target)
    {
        var name = Normalize(path);
        AddParents(name);
        WriteEntry(name, SymbolicLinkType | 0x1FF, Encoding.UTF8.GetBytes(target), 0, 0);
    }

    public void AddCharacterDevice(string path, uint major, uint minor, uint mode = 0x180)
    {
        var name = Normalize(path);
        AddParents(name);
        WriteEntry(name, CharacterDeviceType | mode, [], major, minor);
    }

    /// <summary>Writes the trailer. The stream stays open.</summary>
    public void Dispose()
    {
        if (_finished) return;
        _finished = true;
        WriteEntry("TRAILER!!!", 0, [], 0, 0);
        // QEMU and boot loaders pass whole blocks on; the kernel skips zeros between archives.
        Pad(512);
        output.Flush();
    }

    private static string Normalize(string path) => path.Trim('/');

    private void AddParents(string name)
    {
        var slash = name.LastIndexOf('/');
        if (slash > 0) AddDirectory(name[..slash]);
    }

    private void WriteEntry(string name, uint mode, ReadOnlySpan<byte> content, uint major, uint minor)
    {
        if ((ulong)content.Length > uint.MaxValue) throw HullException.Invalid($"'{name}' is too large for an initramfs");
        var nameBytes = Encoding.UTF8.GetBytes(name);
        uint[] fields =
        [
            _inode++, mode, 0, 0, (mode & TypeMask) == DirectoryType ? 2u : 1u, 0,
            (uint)content.Length, 0, 0, major, minor, (uint)nameBytes.Length + 1, 0,
        ];
        var header = new StringBuilder("070701", HeaderLength);
        foreach (var field in fields) header.Append(field.ToString("X8", CultureInfo.InvariantCulture));
        Write(Encoding.ASCII.GetBytes(header.ToString()));
        Write(nameBytes);
        Write([0]);
        Pad(4);
        Write(content);
        Pad(4);
    }

    private void Pad(int alignment)
    {
        Span<byte> zeros = stackalloc byte[512];
        zeros.Clear();
        var excess = (int)(_position % alignment);
        if (excess != 0) Write(zeros[..(alignment - excess)]);
    }

    private void Write(ReadOnlySpan<byte> bytes)
    {
        output.Write(bytes);
        _position += bytes.Length;
    }
}
