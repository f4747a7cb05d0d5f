using System.Text;
using System.Text.Json;
using Hull.Core;
using Hull.Oci.Runtime;
using Hull.Oci.Runtime.Parsing;
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
        Output.Write(Write(new DocumentWriter(indented: true), state).ToBytes());
        Output.Write("\n"u8);
        return 0;
    });

    internal static Command List() => new("list", "[flags]", "print all containers",
        [new("format", FlagKind.Value, "table or json", 'f'), new("quiet", FlagKind.Switch, "print ids only", 'q')],
        invocation =>
        {
            var states = invocation.Runtime.List().OrderBy(state => state.Id, StringComparer.Ordinal).ToList();
            if (invocation.Flags.Has("quiet")) Output.Write(string.Concat(states.Select(state => state.Id + "\n")));
            else if (invocation.Flags.Get("format", "table") is "json") Output.Write(ToJson(states));
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

    private static byte[] ToJson(List<ContainerState> states)
    {
        var writer = new DocumentWriter().BeginArray();
        foreach (var state in states) Write(writer, state);
        return writer.EndArray().ToBytes();
    }

    /// <summary>The members of runc, in its order: callers read more than the specification has.</summary>
    private static DocumentWriter Write(DocumentWriter writer, ContainerState state) => writer.BeginObject()
        .Member("ociVersion", SpecVersion)
        .Member("id", state.Id)
        .Member("pid", state.Pid)
        .Member("status", state.Status)
        .Member("bundle", state.Bundle)
        .Member("rootfs", state.Rootfs)
        .Member("created", state.Created.ToString("yyyy-MM-ddTHH:mm:ss.fffffffZ"))
        .Member("annotations", state.Annotations.Count > 0 ? state.Annotations : null)
        .Member("owner", OwnerName(state.OwnerUser))
        .EndObject();

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
}
