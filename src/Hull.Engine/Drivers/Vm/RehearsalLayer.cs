using System.Text;
using Hull.Core.Tar;
using Hull.Hypervisor.Guest;
using Hull.Images.Snapshots.Erofs;

namespace Hull.Engine.Drivers.Vm;

/// <summary>
/// The layer with which templates rehearse: directories to mount on, a static program, and a C library, which run as a
/// program says its version: what a kernel does for either kind of program is other code.
/// </summary>
public static class RehearsalLayer
{
    private const int HeaderBytes = 64;
    private const int ProgramHeaderBytes = 56;
    private const ulong Address = 0x400000;

    /// <summary>The layer's file in a directory, made where it is missing.</summary>
    /// <param name="program">A dynamically linked program of this machine, whose libraries are taken.</param>
    public static string In(string directory, string program)
    {
        var path = Path.Combine(directory, "rehearsal-2.erofs");
        if (File.Exists(path)) return path;
        Directory.CreateDirectory(directory);
        using var tar = new MemoryStream();
        var writer = new TarWriter(tar);
        foreach (var name in (string[])["dev", "etc", "lib", "lib64", "proc", "sys", "tmp"])
            writer.Write(new TarEntry { Path = Encoding.ASCII.GetBytes(name), Kind = TarEntryKind.Directory, Mode = 0x1ED }, []);
        // Of the files that are mounted in /etc one is there to be mounted on, the others are made.
        writer.Write(new TarEntry { Path = "etc/hosts"u8.ToArray(), Kind = TarEntryKind.File, Mode = 0x1A4 }, []);
        WriteProgram(writer, "rehearsal", Program());
        foreach (var (guestPath, hostPath) in SharedLibraries.Closure(program, []))
            WriteProgram(writer, guestPath.TrimStart('/'), File.ReadAllBytes(hostPath));
        writer.Finish();
        tar.Position = 0;
        var incoming = path + ".new";
        File.Delete(incoming);
        ErofsImage.Write(incoming, tar);
        File.Move(incoming, path, overwrite: true);
        return path;
    }

    private static void WriteProgram(TarWriter writer, string path, byte[] content) =>
        writer.Write(new TarEntry { Path = Encoding.ASCII.GetBytes(path), Kind = TarEntryKind.File, Mode = 0x1ED }, content);

    /// <summary>A static x86-64 program (elf(5)) with data of its own that takes memory, writes a byte and ends with 0.</summary>
    private static byte[] Program()
    {
        byte[] code =
        [
            0xB8, 12, 0, 0, 0, 0x31, 0xFF, 0x0F, 0x05, // brk(0)
            0x48, 0x8D, 0xB8, 0x00, 0x10, 0x02, 0x00, 0xB8, 12, 0, 0, 0, 0x0F, 0x05, // brk(that + 0x21000)
            0x89, 0x40, 0xF8, // mov [rax - 8], eax: a page of it
            0x89, 0x04, 0x25, 0x00, 0x20, 0x40, 0x00, // mov [Address + 0x2000], eax: a page of its data
            0xB8, 1, 0, 0, 0, 0xBF, 1, 0, 0, 0, 0xBE, 0x00, 0x00, 0x40, 0x00, 0xBA, 1, 0, 0, 0, 0x0F, 0x05, // write(1, Address, 1)
            0xB8, 60, 0, 0, 0, 0x31, 0xFF, 0x0F, 0x05, // exit(0)
        ];
        var length = HeaderBytes + ProgramHeaderBytes + code.Length;
        using var buffer = new MemoryStream();
        using var file = new BinaryWriter(buffer);
        file.Write([0x7F, (byte)'E', (byte)'L', (byte)'F', 2, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
        file.Write((ushort)2); // ET_EXEC
        file.Write((ushort)62); // EM_X86_64
        file.Write(1);
        file.Write(Address + HeaderBytes + ProgramHeaderBytes);
        file.Write((ulong)HeaderBytes);
        file.Write(0UL);
        file.Write(0);
        foreach (var size in (ushort[])[HeaderBytes, ProgramHeaderBytes, 1, 0, 0, 0]) file.Write(size);
        file.Write(1); // PT_LOAD
        file.Write(7); // readable, writable and executable
        // More in memory than in the file: the rest begins as zeros.
        foreach (var value in (ulong[])[0, Address, Address, (ulong)length, 0x3000, 4096]) file.Write(value);
        file.Write(code);
        file.Flush();
        return buffer.ToArray();
    }
}
