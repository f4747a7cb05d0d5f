using System.Text.Json;
using Hull.Core;
using Hull.Linux.Files;
using Hull.Linux.Syscalls;
using Hull.Oci.Runtime;
using Hull.Runtime.Specs;
using Hull.RuntimeCli.CommandLine;

namespace Hull.RuntimeCli.Commands;

/// <summary>spec: a config.json to start from.</summary>
internal static class SpecCommand
{
    internal static Command Create() => new("spec", "[flags]", "write a default config.json",
        [
            new("bundle", FlagKind.Value, "directory to write it to", 'b'),
            new("rootless", FlagKind.Switch, "for an ordinary user"),
        ],
        invocation =>
        {
            var path = Path.Combine(invocation.Flags.Get("bundle") ?? Environment.CurrentDirectory, "config.json");
            if (File.Exists(path)) throw HullException.Exists($"{path} exists already, remove it first");
            var spec = invocation.Flags.Has("rootless")
                ? DefaultSpec.CreateRootless(ProcessCalls.GetEffectiveUser(), ProcessCalls.GetEffectiveGroup())
                : DefaultSpec.Create();
            using var stream = new MemoryStream();
            using (var writer = new Utf8JsonWriter(stream, new JsonWriterOptions { Indented = true, IndentCharacter = '\t', IndentSize = 1 }))
                JsonSerializer.Serialize(writer, spec, RuntimeJson.Default.Spec);
            AtomicFile.Write(path, stream.ToArray(), 0x1B6 & ~18u, durable: false);
            return 0;
        });
}
