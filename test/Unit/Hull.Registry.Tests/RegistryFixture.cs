using System.Text;
using Hull.Core;
using Hull.Registry.Http;
using Hull.Testing;

namespace Hull.Registry.Tests;

/// <summary>A registry over a directory of its own, asked without a network in between.</summary>
internal sealed class RegistryFixture : IDisposable
{
    private readonly TemporaryDirectory _directory = new("hullreg");

    public RegistryFixture(Func<RegistryOptions, RegistryOptions>? change = null)
    {
        var options = new RegistryOptions { Root = _directory["data"], CollectInterval = TimeSpan.Zero };
        Service = new RegistryService(change?.Invoke(options) ?? options);
    }

    public RegistryService Service { get; }

    public string Directory => _directory.Path;

    /// <summary>Sends a request and reads the whole answer.</summary>
    public async Task<Answer> SendAsync(string method, string target, byte[]? body = null, params (string Name, string Value)[] headers)
    {
        var fields = new HttpHeaders();
        foreach (var (name, value) in headers) fields.Add(name, value);
        var mark = target.IndexOf('?', StringComparison.Ordinal);
        var query = mark < 0 ? [] : target[(mark + 1)..].Split('&').Select(part => part.Split('=', 2)).ToDictionary(part => part[0], part => Uri.UnescapeDataString(part.ElementAtOrDefault(1) ?? ""));
        var request = new HttpRequest(method, mark < 0 ? target : target[..mark], query, fields, body is null ? RequestBody.None : new Bytes(body));
        using var response = await Service.HandleAsync(request, CancellationToken.None);
        return new Answer(response.Status, response.Headers, await ReadAsync(response));
    }

    public async Task<Digest> PushBlobAsync(string repository, byte[] content)
    {
        var digest = Digest.Sha256(content);
        var started = await SendAsync("POST", $"/v2/{repository}/blobs/uploads/");
        Assert.Equal(202, started.Status);
        var finished = await SendAsync("PUT", started.Header("Location") + "?digest=" + digest, content);
        Assert.Equal(201, finished.Status);
        return digest;
    }

    /// <summary>Pushes a manifest with a config and a layer of its own; answers its digest.</summary>
    public async Task<Digest> PushImageAsync(string repository, string tag, string salt, string? subject = null, string? artifactType = null)
    {
        var config = Encoding.UTF8.GetBytes($$"""{"architecture":"amd64","os":"linux","salt":"{{salt}}","rootfs":{"type":"layers","diff_ids":[]} }""");
        var layer = Encoding.UTF8.GetBytes("layer of " + salt);
        await PushBlobAsync(repository, config);
        await PushBlobAsync(repository, layer);
        var manifest = Manifest(config, layer, subject, artifactType);
        var pushed = await SendAsync("PUT", $"/v2/{repository}/manifests/{tag}", manifest, ("Content-Type", "application/vnd.oci.image.manifest.v1+json"));
        Assert.Equal(201, pushed.Status);
        if (subject is not null) Assert.Equal(subject, pushed.Header("OCI-Subject"));
        return Digest.Parse(pushed.Header("Docker-Content-Digest"));
    }

    public static byte[] Manifest(byte[] config, byte[] layer, string? subject = null, string? artifactType = null)
    {
        var type = artifactType is null ? "" : $"\"artifactType\":\"{artifactType}\",";
        var about = subject is null ? "" : $$""","subject":{"mediaType":"application/vnd.oci.image.manifest.v1+json","digest":"{{subject}}","size":1}""";
        return Encoding.UTF8.GetBytes(
            $$"""
            {"schemaVersion":2,"mediaType":"application/vnd.oci.image.manifest.v1+json",{{type}}
            "config":{"mediaType":"application/vnd.oci.image.config.v1+json","digest":"{{Digest.Sha256(config)}}","size":{{config.Length}}},
            "layers":[{"mediaType":"application/vnd.oci.image.layer.v1.tar+gzip","digest":"{{Digest.Sha256(layer)}}","size":{{layer.Length}}}]{{about}} }
            """);
    }

    public void Dispose()
    {
        Service.Dispose();
        _directory.Dispose();
    }

    private static async Task<byte[]> ReadAsync(HttpResponse response)
    {
        if (response.File is { } file)
        {
            var bytes = new byte[file.Count];
            Assert.Equal(bytes.Length, RandomAccess.Read(file.Handle, bytes, file.Offset));
            return bytes;
        }

        if (response.Feed is not { } feed) return response.Bytes.ToArray();
        using var buffer = new MemoryStream();
        await feed(buffer, CancellationToken.None);
        return buffer.ToArray();
    }

    private sealed class Bytes(byte[] content) : RequestBody
    {
        private int _position;

        public override long? Length => content.Length;

        public override ValueTask<int> ReadAsync(Memory<byte> buffer, CancellationToken cancellation)
        {
            var count = Math.Min(buffer.Length, content.Length - _position);
            content.AsMemory(_position, count).CopyTo(buffer);
            _position += count;
            return ValueTask.FromResult(count);
        }
    }
}

internal sealed record Answer(int Status, HttpHeaders Headers, byte[] Body)
{
    public string Text => Encoding.UTF8.GetString(Body);

    public string Header(string name) => Headers[name] ?? throw new InvalidOperationException($"no header {name}: {Status} {Text}");
}
