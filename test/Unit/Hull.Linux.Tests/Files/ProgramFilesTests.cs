using Hull.Linux.Files;
using Hull.Testing;

namespace Hull.Linux.Tests.Files;

public sealed class ProgramFilesTests : IDisposable
{
    private readonly TemporaryDirectory _directory = new("program-files");

    [Fact]
    public void A_program_begins_with_its_interpreter_and_all_its_libraries()
    {
        using var root = RootDirectory.Open("/");
        var files = ProgramFiles.Read(root, ["/nonexistent/bash", "/bin/bash", "/bin/true"]);
        Assert.Equal("/bin/bash", files[0]);
        Assert.Contains(files, file => Path.GetFileName(file).StartsWith("ld-linux", StringComparison.Ordinal));
        Assert.Contains(files, file => Path.GetFileName(file) == "libc.so.6");
        Assert.Contains(files, file => Path.GetFileName(file).StartsWith("libtinfo.so", StringComparison.Ordinal));
        Assert.DoesNotContain("/bin/true", files);
        Assert.All(files, file => Assert.True(File.Exists(file)));
    }

    [Fact]
    public void A_script_begins_with_what_interprets_it_and_what_makes_no_sense_with_nothing()
    {
        File.WriteAllText(_directory["script"], "#! /bin/sh -e\nexit\n");
        Directory.CreateDirectory(_directory["bin"]);
        File.WriteAllBytes(_directory["bin/sh"], [0x7f, (byte)'E', (byte)'L', (byte)'F', 2, 1, 0]);
        using var root = RootDirectory.Open(_directory.Path);
        Assert.Equal(["/script", "/bin/sh"], ProgramFiles.Read(root, ["/script"]));
        File.WriteAllText(_directory["script"], "#!");
        Assert.Equal(["/script"], ProgramFiles.Read(root, ["/script"]));
        Assert.Empty(ProgramFiles.Read(root, ["/bin/none"]));
        Assert.Equal(["/bin"], ProgramFiles.Read(root, ["/bin"]));
    }

    public void Dispose() => _directory.Dispose();
}
