using System.Text.Json.Serialization;

namespace Hull.Hypervisor.Guest;

/// <summary>What a guest boots from.</summary>
/// <param name="Digest">Digest over everything the two files were made of; part of every template's key.</param>
/// <param name="Release">The kernel's release, as uname(2) has it.</param>
public sealed record GuestImage(string Digest, string Kernel, string Initrd, string Release);

/// <summary>What an image was made of; stored beside it, for people and for finding it again.</summary>
public sealed record GuestImageManifest(string Digest, string Release, IReadOnlyDictionary<string, string> Inputs);

/// <summary>A kernel of the user's own.</summary>
/// <param name="Kernel">A bzImage or an ELF kernel.</param>
/// <param name="ModulesDirectory">Its <c>lib/modules/&lt;release&gt;</c>; null where everything needed is built in.</param>
public sealed record OwnKernel(string Kernel, string? ModulesDirectory);

[JsonSourceGenerationOptions(WriteIndented = true, PropertyNamingPolicy = JsonKnownNamingPolicy.CamelCase)]
[JsonSerializable(typeof(GuestImageManifest))]
internal sealed partial class GuestImageJson : JsonSerializerContext;
