using System.Text;
using Hull.Hypervisor.Guest;
using Hull.Testing;

namespace Hull.Hypervisor.Tests.Guest;

public class CpioWriterTests
{
    private static byte[] Archive(Action<CpioWriter> fill)
    {
        using var output = new MemoryStream();
        using (var writer = new CpioWriter(output)) fill(writer);
        return output.ToArray();
    }

    [Fact]
    public void Writes_the_newc_format()
    {
        var bytes = Archive(writer => writer.AddFile("init", "#!"u8, 0x1ED));
        var text = Encoding.ASCII.GetString(bytes);
        Assert.StartsWith("070701" + "00000000" + "000081ED" + "00000000" + "00000000" + "00000001" + "00000000" + "00000002" +
            "00000000" + "00000000" + "00000000" + "00000000" + "00000005" + "00000000" + "init\0", text);
        Assert.Equal(0, bytes.Length % 512);
        Assert.Contains("TRAILER!!!", text);
    }

    [Fact]
    public void The_same_entries_give_the_same_bytes()
    {
        static void Fill(CpioWriter writer)
        {
            writer.AddFile("/lib/a.so", "abc"u8);
            writer.AddSymbolicLink("/lib64/a.so", "/lib/a.so");
        }

        Assert.Equal(Archive(Fill), Archive(Fill));
    }

    [Fact]
    public void Cpio_reads_it_back()
    {
        Require.Program("cpio");
        using var directory = new TemporaryDirectory("vm-cpio");
        File.WriteAllBytes(directory["a.cpio"], Archive(writer =>
        {
            writer.AddFile("/deep/er/file", "content"u8, 0x1A4);
            writer.AddSymbolicLink("/deep/link", "er/file");
            writer.AddDirectory("/deep/er");
        }));
        Command.Shell($"cd {directory.Path} && cpio -idm --quiet < a.cpio").Ok();
        Assert.Equal("content", File.ReadAllText(directory["deep/link"]));
        Assert.Equal("deep\ndeep/er\ndeep/er/file\ndeep/link\n", Command.Shell($"cpio -t --quiet < {directory["a.cpio"]}").Ok().Output);
    }
}
