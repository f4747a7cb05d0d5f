using Hull.Hypervisor.Monitor;
using Hull.Hypervisor.Templates;
using Hull.Oci.Runtime;
using Hull.Testing;

namespace Hull.Hypervisor.Tests;

public sealed class ImageFormTests : IDisposable
{
    private readonly TemporaryDirectory _directory = new("image-form");
    private readonly string _first;
    private readonly string _second;

    public ImageFormTests()
    {
        (_first, _second) = (_directory["first"], _directory["second"]);
        foreach (var file in (string[])[_first, _second]) File.WriteAllText(file, file);
    }

    [Fact]
    public void What_is_an_instance_s_own_is_no_part_of_its_form()
    {
        var own = Of(Sample) with
        {
            Hostname = "other", Annotations = new Dictionary<string, string> { ["a"] = "b" },
            Process = Of(Sample).Process! with { Args = ["other", "argument"], Env = ["A=b"], ConsoleSize = new ConsoleSize { Width = 9, Height = 9 } },
            Mounts = [Bind(_second)],
            Linux = new LinuxSpec { CgroupsPath = "/other", Resources = new ResourcesSpec { Cpu = new CpuSpec { Shares = 7 } } },
        };
        Assert.Equal(Key(Of(Sample)), Key(own));
    }

    [Fact]
    public void Whatever_is_created_is_a_part_of_it()
    {
        var spec = Of(Sample);
        HashSet<string> keys =
        [
            Key(spec),
            Key(spec with { Process = spec.Process! with { User = new UserSpec { Uid = 1 } } }),
            Key(spec with { Process = spec.Process! with { Cwd = "/tmp" } }),
            Key(spec with { Process = spec.Process! with { Terminal = true } }),
            Key(spec with { Process = spec.Process! with { NoNewPrivileges = true } }),
            Key(spec with { Mounts = [Bind(_first), Bind(_second)] }),
            Key(spec with { Mounts = [Bind(_first) with { Options = ["bind", "ro"] }] }),
            Key(spec with { Mounts = [Bind(_first) with { Destination = "/elsewhere" }] }),
            Key(spec with { Root = new RootSpec { Path = "rootfs", Readonly = true } }),
            Key(spec with { Linux = new LinuxSpec { Resources = new ResourcesSpec { Pids = new PidsSpec { Limit = 5 } } } }),
            Key(spec with { Linux = new LinuxSpec { MaskedPaths = ["/proc/kcore"] } }),
            Key(spec, layers: ["/layer/2"]),
            Key(spec, layers: ["/layer/1", "/layer/2"]),
            Key(spec, hasInput: true),
            Key(spec, hasNetwork: true),
            ImageForm.Of(spec, ["/layer/1"], false, false).KeyIn("another template"),
        ];
        File.SetUnixFileMode(_first, UnixFileMode.UserRead);
        keys.Add(Key(spec));
        Assert.Equal(17, keys.Count);
    }

    [Fact]
    public void Its_container_has_the_files_with_nothing_in_them()
    {
        File.SetUnixFileMode(_first, UnixFileMode.UserRead);
        var container = ImageForm.Of(Of(Sample), ["/layer/1"], hasInput: true, hasNetwork: false).WriteTo(_directory.Path);
        Assert.Equal((true, false), (container.HasInput, container.HasNetwork));
        Assert.Equal(["/usr/bin/sleep", "/bin/sleep"], container.Expected);
        var translation = GuestSpec.Translate(RuntimeDocuments.ParseSpec(File.ReadAllBytes(container.SpecPath), "spec"), ImageContainer.Id, container.HasNetwork, []);
        var file = Assert.Single(translation.Files);
        Assert.Equal((0, (uint)UnixFileMode.UserRead), (file.Content.Length, file.Mode));
        Assert.Empty(translation.Spec.Process!.Env!);
    }

    public void Dispose() => _directory.Dispose();

    private static readonly string[] s_layers = ["/layer/1"];

    private string Sample => _first;

    private static Spec Of(string file) => new()
    {
        OciVersion = "1.2.0", Hostname = "name", Root = new RootSpec { Path = "rootfs" },
        Process = new ProcessSpec { Args = ["sleep", "1"], Env = ["PATH=/usr/bin:/bin", "HOME=/"], Cwd = "/", User = new UserSpec() },
        Mounts = [Bind(file)],
        Linux = new LinuxSpec { CgroupsPath = "/name", Resources = new ResourcesSpec() },
    };

    private static MountSpec Bind(string file) => new() { Destination = "/etc/hosts", Type = "bind", Source = file, Options = ["bind"] };

    private static string Key(Spec spec, IReadOnlyList<string>? layers = null, bool hasInput = false, bool hasNetwork = false) =>
        ImageForm.Of(spec, layers ?? s_layers, hasInput, hasNetwork).KeyIn("template");
}
