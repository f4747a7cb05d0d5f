using System.Text.Json;
using System.Text.Json.Serialization.Metadata;
using Hull.Cli.Verbs;
using Hull.Client;
using Hull.Core;
using Hull.Protocol.Machines;

namespace Hull.Cli.Vm;

/// <summary>The engine's machines, as the verbs ask for them.</summary>
internal static class MachineClient
{
    private const string Root = "/hull/v1/machines";

    public static string Path(string machine, string rest = "") => $"{Root}/{Uri.EscapeDataString(machine)}{rest}";

    public static List<MachineResource> List(Invocation call) => Read(call.Engine.Send("GET", Root, raw: true), MachineProtocolJson.Default.ListMachineResource);

    public static MachineResource Get(Invocation call, string machine) =>
        Read(call.Engine.Send("GET", Path(machine), raw: true), MachineProtocolJson.Default.MachineResource);

    public static MachineResource Create(Invocation call, MachineCreateRequest request) =>
        Send(call, "POST", Root, request, MachineProtocolJson.Default.MachineCreateRequest, MachineProtocolJson.Default.MachineResource);

    public static TAnswer Send<TBody, TAnswer>(Invocation call, string method, string path, TBody body, JsonTypeInfo<TBody> bodyType, JsonTypeInfo<TAnswer> answerType,
        (string Name, string Value)[]? headers = null) =>
        Read(call.Engine.Send(method, path, JsonSerializer.SerializeToUtf8Bytes(body, bodyType), headers, raw: true), answerType);

    /// <summary>A request of whose answer only the status matters.</summary>
    public static void Call(Invocation call, string method, string path)
    {
        using var answer = call.Engine.Send(method, path, raw: true);
        if (answer.Status == 304) throw new HullException(ErrorKind.NotModified, "it is in that state already");
        answer.Content.CopyTo(Stream.Null);
    }

    private static T Read<T>(Answer answer, JsonTypeInfo<T> type)
    {
        using (answer)
        {
            try
            {
                return JsonSerializer.Deserialize(answer.Content, type) ?? throw HullException.Internal("the engine's answer is empty");
            }
            catch (JsonException error)
            {
                throw HullException.Internal("the engine's answer cannot be read", error);
            }
        }
    }
}
