using System.Buffers.Binary;
using Hull.Core;
using Hull.Hypervisor.Guest;
using Hull.Testing;

namespace Hull.Hypervisor.Tests.Guest;

/// <summary>Kernels and modules as distributions pack them.</summary>
public sealed class PackedKernelTests : IDisposable
{
    private readonly TemporaryDirectory _directory = new();

    public void Dispose() => _directory.Dispose();

    [Theory]
    [InlineData("xz", ".xz")]
    [InlineData("zstd", ".zst")]
    [InlineData("gzip", ".gz")]
    [InlineData("cat", "")]
    public void A_module_is_unpacked(string program, string suffix)
    {
        var module = File.ReadAllBytes(Require.Program("busybox"));
        Directory.CreateDirectory(_directory["kernel/fs"]);
        Pack(program, Require.Program("busybox"), _directory["kernel/fs/some-thing.ko" + suffix]);
        var resolved = Assert.Single(new ModuleTree(_directory["kernel"]).Resolve(["some_thing"], new HashSet<string>()));
        Assert.Equal("some_thing", resolved.Name);
        Assert.Equal(module, resolved.Content);
    }

    [Theory]
    [InlineData(".xz", ErrorKind.DataCorrupted)]
    [InlineData(".zst", ErrorKind.DataCorrupted)]
    [InlineData(".lz4", ErrorKind.Unsupported)]
    public void A_module_that_cannot_be_unpacked_is_named(string suffix, ErrorKind kind)
    {
        File.WriteAllText(_directory["odd.ko" + suffix], "not packed at all");
        var error = Assert.Throws<HullException>(() => new ModuleTree(_directory.Path).Resolve(["odd"], new HashSet<string>()));
        Assert.Equal(kind, error.Kind);
    }

    [Theory]
    [InlineData("zstd", 4)]
    [InlineData("gzip", 0)]
    public void A_kernel_is_taken_out_of_its_image(string program, int appended)
    {
        var kernel = File.ReadAllBytes(Require.Program("busybox"));
        Pack(program, Require.Program("busybox"), _directory["payload"]);
        var payload = File.ReadAllBytes(_directory["payload"]);
        // One sector of set-up code behind the boot sector, then the payload (Documentation/x86/boot.rst).
        var image = new byte[1024 + payload.Length + appended];
        image[0x1F1] = 1;
        "HdrS"u8.CopyTo(image.AsSpan(0x202));
        BinaryPrimitives.WriteInt32LittleEndian(image.AsSpan(0x24C), payload.Length + appended);
        payload.CopyTo(image.AsSpan(1024));
        if (appended > 0) BinaryPrimitives.WriteInt32LittleEndian(image.AsSpan(^4), kernel.Length);
        Assert.Equal(kernel, KernelImage.ExtractElf(image));
    }

    private static void Pack(string program, string from, string to) => Command.Shell($"{program} < '{from}' > '{to}'").Ok();
}
