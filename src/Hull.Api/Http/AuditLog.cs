using System.Text.Json;
using Hull.Core;

namespace Hull.Api.Http;

/// <summary>Who changed what, and who was refused: one JSON object per line.</summary>
public sealed class AuditLog(Stream output, TimeProvider clock)
{
    private readonly Lock turn = new();

    internal void Allowed(ApiRequest request, Route route) => Write(request, route, "allowed", null);

    internal void Refused(ApiRequest request, Route route, HullException reason) => Write(request, route, "refused", reason.Message);

    private void Write(ApiRequest request, Route route, string outcome, string? reason)
    {
        using var line = new MemoryStream();
        using (var json = new Utf8JsonWriter(line))
        {
            json.WriteStartObject();
            json.WriteString("time", clock.GetUtcNow());
            json.WriteString("who", request.Access.Name);
            json.WriteString("listener", request.Listener?.Address);
            json.WriteString("method", request.Method);
            json.WriteString("path", "/" + request.Path);
            json.WriteString("route", route.Pattern);
            json.WriteString("outcome", outcome);
            if (reason is not null) json.WriteString("reason", reason);
            json.WriteEndObject();
        }

        line.WriteByte((byte)'\n');
        lock (turn)
        {
            output.Write(line.GetBuffer(), 0, (int)line.Length);
            output.Flush();
        }
    }
}
