using Hull.Core.Tar;
using Hull.Images.Snapshots.Erofs;

namespace Hull.Engine.Drivers.Vm;

/// <summary>The layer with which templates rehearse: directories to mount on, and a program of nine bytes that ends with 0.</summary>
public static class RehearsalLayer
{
    private const int HeaderBytes = 64;
    private const int ProgramHeaderBytes = 56;
    private const ulong Address = 0x400000;

    /// <summary>The layer's file in a directory, made where it is missing.</summary>
    public static string In(string directory)
    {
        var path = Path.Combine(directory, "rehearsal-1.erofs");
        if (File.Exists(path)) return path;
        Directory.CreateDirectory(directory);
        using var tar = new MemoryStream();
        var writer = new TarWriter(tar);
        foreach (var name in (string[])["dev", "etc", "proc", "sys", "tmp"])
            writer.Write(new TarEntry { Path = System.Text.Encoding.ASCII.GetBytes(name), Kind = TarEntryKind.Directory, Mode = 0x1ED }, []);
        writer.Write(new TarEntry { Path = "etc/hosts"u8.ToArray(), Kind = TarEntryKind.File, Mode = 0x1A4 }, []);
        writer.Write(new TarEntry { Path = "rehearsal"u8.ToArray(), Kind = TarEntryKind.File, Mode = 0x1ED }, Program());
        writer.Finish();
        tar.Position = 0;
        var incoming = path + ".new";
        File.Delete(incoming);
        ErofsImage.Write(incoming, tar);
        File.Move(incoming, path, overwrite: true);
        return path;
    }

    /// <summary>A static x86-64 program (elf(5)): <c>mov eax, 60; xor edi, edi; syscall</c>, which is exit(0).</summary>
    private static byte[] Program()
    {
        byte[] code = [0xB8, 60, 0, 0, 0, 0x31, 0xFF, 0x0F, 0x05];
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
        file.Write(5); // readable and executable
        foreach (var value in (ulong[])[0, Address, Address, (ulong)length, (ulong)length, 4096]) file.Write(value);
        file.Write(code);
        file.Flush();
        return buffer.ToArray();
    }
}
