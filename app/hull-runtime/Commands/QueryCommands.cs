using System.Buffers;
using System.Text;
using System.Text.Json;
using Hull.Core;
using Hull.Oci.Runtime;
using Hull.Runtime;
using Hull.Runtime.Specs;
using Hull.RuntimeCli.CommandLine;

namespace Hull.RuntimeCli.Commands;

/// <summary>state, list and features.</summary>
internal static class QueryCommands
{
    internal const string SpecVersion = "1.2.0";

    internal static Command State() => new("state", "<id>", "print the state of a container", [], invocation =>
    {
        var state = invocation.Runtime.GetState(invocation.Flags.RequireId("state"));
        Output.Write(ToJson(writer => Write(writer, state), indented: true));
        Output.Write("\n"u8);
        return 0;
    });

    internal static Command List() => new("list", "[flags]", "print all containers",
        [new("format", FlagKind.Value, "table or json", 'f'), new("quiet", FlagKind.Switch, "print ids only", 'q')],
        invocation =>
        {
            var states = invocation.Runtime.List().OrderBy(state => state.Id, StringComparer.Ordinal).ToList();
            if (invocation.Flags.Has("quiet")) Output.Write(string.Concat(states.Select(state => state.Id + "\n")));
            else if (invocation.Flags.Get("format", "table") is "json") Output.Write(ToJson(writer => Write(writer, states), indented: false));
            else if (invocation.Flags.Get("format", "table") is "table") Output.Write(Table(states));
            else throw HullException.Invalid($"list: unknown format '{invocation.Flags.Get("format")}'");
            return 0;
        });

    internal static Command Features() => new("features", "", "print what this runtime implements", [], _ =>
    {
        Output.Write(JsonSerializer.SerializeToUtf8Bytes(RuntimeFeatures.Describe(), RuntimeJson.Default.Features));
        Output.Write("\n"u8);
        return 0;
    });

    private static void Write(Utf8JsonWriter writer, List<ContainerState> states)
    {
        writer.WriteStartArray();
        foreach (var state in states) Write(writer, state);
        writer.WriteEndArray();
    }

    /// <summary>The members of runc, in its order: callers read more than the specification has.</summary>
    private static void Write(Utf8JsonWriter writer, ContainerState state)
    {
        writer.WriteStartObject();
        writer.WriteString("ociVersion", SpecVersion);
        writer.WriteString("id", state.Id);
        writer.WriteNumber("pid", state.Pid);
        writer.WriteString("status", state.Status);
        writer.WriteString("bundle", state.Bundle);
        writer.WriteString("rootfs", state.Rootfs);
        writer.WriteString("created", state.Created.ToString("yyyy-MM-ddTHH:mm:ss.fffffffZ"));
        if (state.Annotations.Count > 0)
        {
            writer.WriteStartObject("annotations");
            foreach (var (key, value) in state.Annotations) writer.WriteString(key, value);
            writer.WriteEndObject();
        }

        writer.WriteString("owner", OwnerName(state.OwnerUser));
        writer.WriteEndObject();
    }

    private static string Table(List<ContainerState> states)
    {
        string[][] rows =
        [
            ["ID", "PID", "STATUS", "BUNDLE", "CREATED", "OWNER"],
            .. states.Select(state => (string[])[state.Id, state.Pid.ToString(), state.Status, state.Bundle, state.Created.ToString("yyyy-MM-ddTHH:mm:ss.fffffffZ"), OwnerName(state.OwnerUser)]),
        ];
        var text = new StringBuilder();
        var widths = Enumerable.Range(0, 6).Select(column => Math.Max(8, rows.Max(row => row[column].Length))).ToArray();
        foreach (var row in rows)
        {
            for (var i = 0; i < row.Length; i++) text.Append(i == row.Length - 1 ? row[i] : row[i].PadRight(widths[i] + 3));
            text.Append('\n');
        }

        return text.ToString();
    }

    private static string OwnerName(uint user) => user == 0 ? "root" : "#" + user;

    private static byte[] ToJson(Action<Utf8JsonWriter> write, bool indented)
    {
        var buffer = new ArrayBufferWriter<byte>();
        using (var writer = new Utf8JsonWriter(buffer, new JsonWriterOptions { Indented = indented })) write(writer);
        return buffer.WrittenSpan.ToArray();
    }
}
