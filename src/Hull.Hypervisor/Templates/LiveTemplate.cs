using System.Text.Json.Serialization;
using Hull.Hypervisor.Monitor;
using Hull.Hypervisor.Sandboxes;
using Hull.Linux;
using Hull.Linux.Files;

namespace Hull.Hypervisor.Templates;

/// <summary>
/// A machine made from a template that has done what its twins are to do and stands still. The process of its monitor is
/// made twice for each instance (<see cref="Linux.Tracing.ProcessTwin"/>): so an emulated machine begins with all the code
/// translated that its template has run, and shares it with the others.
/// </summary>
/// <param name="Process">The monitor.</param>
/// <param name="Directory">Where its files are.</param>
/// <param name="Name">Id of its machine, as long as <see cref="RandomId.Short"/> ones.</param>
/// <param name="Control">Number of the agent's control channel in it; likewise the following.</param>
/// <param name="Files">Numbers of its files.</param>
/// <param name="Generations">How often the disks' media have been exchanged.</param>
/// <param name="OfInstance">It is itself a twin of an instance's machine, without privileges, and has that one's disks.</param>
/// <param name="Container">
/// The container it has created already, by its id in the guest, of an image whose layers are its disk: a template of that
/// image. Its program, names and files are each twin's own. Null has none.
/// </param>
public sealed record LiveTemplate(int Process, string Directory, string Name, int Control, int Data, int Qmp, int Tap, LiveFiles Files,
    IReadOnlyDictionary<string, int> Generations, bool OfInstance = false, string? Container = null)
{
    /// <summary>Its writable disk, in its directory.</summary>
    public const string WritableName = "fresh.img";

    /// <summary>Its twins have the layers that it has.</summary>
    [JsonIgnore]
    public bool HasLayers => OfInstance || Container is not null;
}

/// <param name="Log">Of what takes its log; likewise its console.</param>
/// <param name="Layers">Of the disk with layers, which is larger than any: a twin's file in its place is the twin's disk.</param>
/// <param name="Writable">Of the writable disk, of <see cref="Disks.WritableDisk.DefaultBytes"/>.</param>
/// <param name="Memory">Of its memory's file; see <see cref="MemoryFile.ForReturned"/>.</param>
public sealed record LiveFiles(IReadOnlyList<int> Log, IReadOnlyList<int> Console, IReadOnlyList<int> Layers, IReadOnlyList<int> Writable,
    IReadOnlyList<int> Memory);

/// <summary>What the program is told that keeps a live template.</summary>
/// <param name="Directory">A directory for its files.</param>
/// <param name="RehearsalLayer">An erofs image with a program <c>/rehearsal</c> that ends at once, and a C library.</param>
/// <param name="Image">Makes a template of an image, as a twin of the live template that <paramref name="Template"/> then has; null makes that one.</param>
public sealed record LiveTemplateRequest(GuestSource Guest, TemplateSource Template, long MemoryBytes, int Processors, string Directory,
    string CgroupsPath, string RehearsalLayer, ImageContainer? Image = null)
{
    internal SandboxShape Shape => new(MemoryBytes, Processors);

    internal Template Open(MemoryFile memory) => new(Template.Key, Shape, Guest.ToImage(), memory, Template.StatePath, Template.WritablePath);
}

/// <summary>The container that a template of an image is to have; nothing of it is any instance's own.</summary>
/// <param name="SpecPath">Its OCI spec, as an instance's bundle has it, with empty files for what is given by copy.</param>
/// <param name="Layers">Layer files, lowest first.</param>
/// <param name="HasInput">It is given a standard input.</param>
/// <param name="HasNetwork">It is on a network.</param>
/// <param name="Expected">Paths of the program that it was run with, of which the first that is there is meant; another's can be run as well.</param>
public sealed record ImageContainer(string SpecPath, IReadOnlyList<string> Layers, bool HasInput, bool HasNetwork, IReadOnlyList<string> Expected)
{
    /// <summary>Its id in every guest.</summary>
    public const string Id = "image";
}

[JsonSourceGenerationOptions(PropertyNamingPolicy = JsonKnownNamingPolicy.CamelCase)]
[JsonSerializable(typeof(LiveTemplate))]
[JsonSerializable(typeof(LiveTemplateRequest))]
public sealed partial class LiveTemplateJson : JsonSerializerContext;
