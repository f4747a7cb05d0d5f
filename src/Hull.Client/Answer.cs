using Hull.Client.Http;

namespace Hull.Client;

/// <summary>An engine's answer, its content still to be read.</summary>
public sealed class Answer : IDisposable
{
    private readonly HttpHead head;

    internal Answer(HttpHead head, Stream content) => (this.head, Content) = (head, content);

    public int Status => head.Status;

    public Stream Content { get; }

    /// <summary>A header, or null.</summary>
    public string? Header(string name) => head[name];

    public void Dispose() => Content.Dispose();
}
