using System.Text.Json;

namespace Hull.Hypervisor.Qmp;

/// <summary>
/// One command of the QEMU Machine Protocol with its arguments and the way to read its answer. The names
/// are checked against <c>query-qmp-schema</c> of the QEMU that is installed by a test.
/// </summary>
/// <param name="Name">The command's name in QEMU's QAPI schema.</param>
/// <param name="Arguments">The members of <c>arguments</c>; null where the command takes none.</param>
/// <param name="Parse">Reads the member <c>return</c> of the answer.</param>
public sealed record QmpCommand<TResult>(string Name, QemuProperties? Arguments, Func<JsonElement, TResult> Parse)
{
    /// <summary>Writes the request with the id that its answer will carry.</summary>
    public byte[] Serialize(long id)
    {
        using var buffer = new MemoryStream();
        using (var json = new Utf8JsonWriter(buffer))
        {
            json.WriteStartObject();
            json.WriteString("execute", Name);
            if (Arguments is not null)
            {
                json.WritePropertyName("arguments");
                Arguments.WriteTo(json);
            }

            json.WriteNumber("id", id);
            json.WriteEndObject();
        }

        buffer.WriteByte((byte)'\n');
        return buffer.ToArray();
    }
}

/// <summary>The answer of commands that answer nothing.</summary>
public readonly record struct QmpVoid;

/// <summary>An asynchronous event of the monitor: its name, data and the time QEMU stamped on it.</summary>
public sealed record QmpEvent(string Name, JsonElement Data, DateTimeOffset Time);

/// <summary>Version of the QEMU behind a monitor.</summary>
public sealed record QmpVersion(int Major, int Minor, int Micro, string Package)
{
    public bool AtLeast(int major, int minor = 0) => Major > major || (Major == major && Minor >= minor);

    public override string ToString() => $"{Major}.{Minor}.{Micro}";
}
