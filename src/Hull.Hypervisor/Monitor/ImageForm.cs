using System.Globalization;
using System.Security.Cryptography;
using System.Text;
using System.Text.Json;
using Hull.Hypervisor.Templates;
using Hull.Linux.Children;
using Hull.Linux.Files;
using Hull.Oci.Runtime;

namespace Hull.Hypervisor.Monitor;

/// <summary>
/// What is the same of all instances of an image that are run in one way, as their guests see it: its layers, mounts, user, limits
/// and whatever else a container has before it is anybody's. Arguments, environment, names and the content of files are not.
/// </summary>
public sealed class ImageForm
{
    private readonly Spec _spec;
    private readonly IReadOnlyList<UnixFileMode> _files;
    private readonly ImageContainer _container;

    private ImageForm(Spec spec, IReadOnlyList<UnixFileMode> files, ImageContainer container) => (_spec, _files, _container) = (spec, files, container);

    /// <param name="spec">Of a bundle none of whose files are shared with the host.</param>
    /// <param name="layers">Layer files, lowest first.</param>
    public static ImageForm Of(Spec spec, IReadOnlyList<string> layers, bool hasInput, bool hasNetwork)
    {
        var files = new List<UnixFileMode>();
        var mounts = new List<MountSpec>();
        foreach (var mount in spec.Mounts ?? [])
        {
            if (!GuestSpec.IsBind(mount))
            {
                mounts.Add(mount);
                continue;
            }

            mounts.Add(mount with { Source = FileName(files.Count) });
            files.Add(File.GetUnixFileMode(mount.Source ?? ""));
        }

        var common = GuestSpec.InGuest(spec, ImageContainer.Id, hasNetwork, mounts);
        return new ImageForm(common with
        {
            Hostname = ImageContainer.Id,
            Annotations = null,
            Process = (common.Process ?? new ProcessSpec()) with { Args = [ImageContainer.Id], Env = [], ConsoleSize = null },
        }, files, new ImageContainer("", layers, hasInput, hasNetwork,
            spec.Process is { Args: [var program, ..] } process ? ChildProgram.Candidates(program, ChildProgram.SearchPath(process.Env ?? [])) : []));
    }

    /// <summary>Names the template that instances of this form have among those that begin from another: a change of any part gives another.</summary>
    /// <param name="template">Key of that one, and so of tenant, machine and guest.</param>
    public string KeyIn(string template)
    {
        using var hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
        hash.AppendData(JsonSerializer.SerializeToUtf8Bytes(_spec, RuntimeJson.Default.Spec));
        hash.AppendData(Encoding.UTF8.GetBytes(string.Join('\n', ["", template, .. _container.Layers, .. _files.Select(mode => mode.ToString()),
            $"input {_container.HasInput}", $"network {_container.HasNetwork}"])));
        return Convert.ToHexStringLower(hash.GetHashAndReset())[..32];
    }

    /// <summary>Writes what the container of that template is made of into a directory.</summary>
    public ImageContainer WriteTo(string directory)
    {
        for (var index = 0; index < _files.Count; index++)
        {
            var file = Path.Combine(directory, FileName(index));
            AtomicFile.Write(file, [], durable: false);
            File.SetUnixFileMode(file, _files[index]);
        }

        var spec = _spec with
        {
            Mounts = [.. (_spec.Mounts ?? []).Select(mount => GuestSpec.IsBind(mount) ? mount with { Source = Path.Combine(directory, mount.Source ?? "") } : mount)],
        };
        var path = Path.Combine(directory, "config.json");
        AtomicFile.Write(path, JsonSerializer.SerializeToUtf8Bytes(spec, RuntimeJson.Default.Spec), durable: false);
        return _container with { SpecPath = path };
    }

    private static string FileName(int index) => "file" + index.ToString(CultureInfo.InvariantCulture);
}
