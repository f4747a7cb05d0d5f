using Hull.Oci.Runtime.Parsing;

namespace Hull.Oci.Runtime;

/// <summary>Parses the documents the runtime is given. Errors are InvalidArgument and name the document and the member.</summary>
public static class RuntimeDocuments
{
    /// <summary>A whole config.json; <paramref name="name"/> is what errors call it.</summary>
    public static Spec ParseSpec(ReadOnlySpan<byte> content, string name) => DocumentReader.Read(content, name, SpecParser.Document);

    /// <summary>The process document of an exec.</summary>
    public static ProcessSpec ParseProcess(ReadOnlySpan<byte> content, string name) => DocumentReader.Read(content, name, ProcessParser.Process);

    /// <summary>The resources document of an update.</summary>
    public static ResourcesSpec ParseResources(ReadOnlySpan<byte> content, string name) =>
        DocumentReader.Read(content, name, ResourcesParser.Resources);

    /// <summary>The state document that hooks get on stdin.</summary>
    public static byte[] WriteState(State state) => Write(new DocumentWriter(), state).ToBytes();

    /// <summary>The document that goes to a seccomp listener's agent.</summary>
    public static byte[] WriteProcessState(ContainerProcessState process)
    {
        var writer = new DocumentWriter().BeginObject()
            .Member("ociVersion", process.OciVersion)
            .Member("fds", process.Fds)
            .Member("pid", process.Pid)
            .Member("metadata", process.Metadata);
        return Write(writer, process.State, "state").EndObject().ToBytes();
    }

    private static DocumentWriter Write(DocumentWriter writer, State state, string? name = null)
    {
        writer.BeginObject(name).Member("ociVersion", state.OciVersion).Member("id", state.Id).Member("status", state.Status);
        if (state.Pid is { } pid and > 0) writer.Member("pid", pid);
        return writer.Member("bundle", state.Bundle).Member("annotations", state.Annotations).EndObject();
    }
}
